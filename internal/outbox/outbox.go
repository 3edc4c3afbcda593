package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/object"
)

// Sink sends messages to one recipient.
type Sink interface {
	// Deliver returns nil once the recipient has taken the message. It may run twice
	// for one message, whose ID is the same. jobs.Permanent gives it up, jobs.Later
	// puts it off, any other error is tried again.
	Deliver(ctx context.Context, m Message) error
}

// Recipient is a sink with what it is told.
type Recipient struct {
	Name   string // stable: what is under way is kept for it by this name
	Topics []Topic
	Sink   Sink
}

// Outbox knows who is told what. nil tells nobody anything.
type Outbox struct {
	db         object.DB[DeliveryTx]
	recipients []Recipient
}

// New checks the recipients.
func New(db object.DB[DeliveryTx], recipients ...Recipient) (*Outbox, error) {
	seen := map[string]bool{}
	for _, r := range recipients {
		if r.Name == "" || r.Sink == nil || seen[r.Name] {
			return nil, fmt.Errorf("outbox: the recipient %q has no name of its own, or no sink", r.Name)
		}
		seen[r.Name] = true
	}
	return &Outbox{db, recipients}, nil
}

// DeliverJob is the kind of the job that hands one message to one recipient. Its
// reference is the message.
const DeliverJob jobs.Kind = "deliver"

// address is the arguments of a DeliverJob.
type address struct {
	Recipient string `json:"recipient"`
}

var errData = fmt.Errorf("outbox: the data of a message are longer than %d bytes", MaxData)

// Put stores a message in the transaction that makes it true, with a job for each
// recipient; without a recipient nothing is stored.
func (o *Outbox) Put(ctx context.Context, tx Tx, m Message) error {
	if o == nil {
		return nil
	}
	m.ID = ""
	for _, r := range o.recipients {
		if !r.takes(m.Topic) {
			continue
		}
		if m.ID == "" {
			if len(m.Data) > MaxData {
				return errData
			}
			m.ID = object.NewRequestID()
			if err := tx.InsertMessage(ctx, m); err != nil {
				return err
			}
		}
		args, err := json.Marshal(address{r.Name})
		if err != nil {
			return err
		}
		err = tx.EnqueueJob(ctx, jobs.Job{ID: object.NewRequestID(), Kind: DeliverJob, Vault: m.Vault,
			Name: m.Subject.Name.Key(), Ref: m.ID, Args: args, Due: m.Created})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r Recipient) takes(t Topic) bool {
	for _, topic := range r.Topics {
		if topic == t {
			return true
		}
	}
	return false
}

// Spec is how messages are delivered. The waits and the limit are those that
// receivers of events know (contract observability.md, 7).
func (o *Outbox) Spec() jobs.Spec {
	return jobs.Spec{
		Run:   o.deliver,
		Retry: []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour},
		Limit: 30,
	}
}

// deliver does a DeliverJob. A crash after the sink has sent and before the commit
// sends again.
func (o *Outbox) deliver(ctx context.Context, j jobs.Job) error {
	var to address
	if err := json.Unmarshal(j.Args, &to); err != nil {
		return jobs.Permanent(fmt.Errorf("reading the address of a message: %w", err))
	}
	for _, r := range o.recipients {
		if r.Name == to.Recipient {
			return o.hand(ctx, j, r.Sink)
		}
	}
	return jobs.Permanent(fmt.Errorf("there is no recipient %q any more", to.Recipient))
}

func (o *Outbox) hand(ctx context.Context, j jobs.Job, sink Sink) error {
	var m Message
	err := o.db.View(ctx, func(tx DeliveryTx) (err error) {
		m, err = tx.Message(ctx, j.Ref)
		return err
	})
	if errors.Is(err, object.ErrNotFound) {
		return jobs.Permanent(fmt.Errorf("the message is gone: %w", err))
	}
	if err != nil {
		return err
	}
	if err := sink.Deliver(ctx, m); err != nil {
		return err
	}
	return o.db.Update(ctx, func(tx DeliveryTx) error {
		if err := tx.CompleteJob(ctx, j); err != nil {
			return err
		}
		return tx.DeleteMessage(ctx, j.Ref)
	})
}
