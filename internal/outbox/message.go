package outbox

import (
	"context"
	"encoding/json"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/object"
)

// Topic is what happened, as events name it (contract observability.md, 5.1).
type Topic string

// The topics.
const (
	CertificateNewVersion Topic = "Microsoft.KeyVault.CertificateNewVersionCreated"
	KeyNewVersion         Topic = "Microsoft.KeyVault.KeyNewVersionCreated"
	KeyNearExpiry         Topic = "Microsoft.KeyVault.KeyNearExpiry"
	SecretNewVersion      Topic = "Microsoft.KeyVault.SecretNewVersionCreated"
)

// MaxData bounds the data of a message, in bytes.
const MaxData = 16 << 10

// Message is one thing that happened.
type Message struct {
	ID      string // 32 hex digits: the same at each delivery, for who must not act twice
	Vault   object.VaultID
	Topic   Topic
	Subject Subject
	Data    json.RawMessage // at most MaxData, never a secret
	Created time.Time       // milliseconds
}

// Subject is the version of an object that a message is about.
type Subject struct {
	Family  object.Family
	Name    object.Name
	Version object.Version
}

// Dates is the data of a message about a version (contract observability.md, 5.3):
// seconds since 1970, null when not set.
type Dates struct {
	NotBefore *int64 `json:"NBF"`
	Expires   *int64 `json:"EXP"`
}

// OfVersion is a message about a version of an object.
func OfVersion(t Topic, v object.VaultID, s Subject, a object.Attributes, now time.Time) Message {
	seconds := func(t *time.Time) *int64 {
		if t == nil {
			return nil
		}
		return new(t.Unix())
	}
	data, err := json.Marshal(Dates{seconds(a.NotBefore), seconds(a.Expires)})
	if err != nil {
		panic(err) // two numbers
	}
	return Message{Vault: v, Topic: t, Subject: s, Data: data, Created: now}
}

// Tx is what telling needs of one open transaction.
type Tx interface {
	// InsertMessage stores a message that is new; object.ErrNotFound when its vault
	// is gone. Data are at most MaxData.
	InsertMessage(ctx context.Context, m Message) error

	// Of jobs.Tx, which says more.
	EnqueueJob(ctx context.Context, j jobs.Job) error
}

// DeliveryTx is what a delivery needs of one open transaction.
type DeliveryTx interface {
	// Message answers object.ErrNotFound when there is none of that id.
	Message(ctx context.Context, id string) (Message, error)
	// DeleteMessage removes a message unless a DeliverJob is about it still; absent
	// is no error.
	DeleteMessage(ctx context.Context, id string) error

	// Of jobs.Tx, which says more.
	CompleteJob(ctx context.Context, j jobs.Job) error
}
