package certificate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// ordering is an authority that takes orders and lets them wait, with the issuer
// that speaks with it. It takes every order that it is sent: that none is sent twice
// is the issuer's matter, and the vault's.
type ordering struct {
	w    *installation
	root *authority

	mu        sync.Mutex
	orders    []*ordered // guarded by mu
	lose      int        // guarded by mu; so many answers are lost after their effect
	polls     int        // until an order is ready
	reject    string     // what it says of every order that it is asked about; "": nothing
	issueTo   []byte     // a certificate that it delivers instead of the right one
	cancelled int        // guarded by mu
	told      issuance.Order
}

type ordered struct {
	key   string // which the issuer sent along
	csr   []byte
	polls int
	over  bool
}

// orderState is what the issuer keeps.
type orderState struct {
	Key   string
	Order *int // its number; nil: not known yet
}

func newOrdering(t testing.TB, place func(testing.TB) store.Config, change ...func(*certificate.Config)) (*installation, *ordering) {
	t.Helper()
	o := &ordering{polls: 2}
	w := newInstallationIn(t, place, append([]func(*certificate.Config){func(c *certificate.Config) { c.Issuers["orders"] = o }}, change...)...)
	o.w, o.root = w, newAuthority(t, "root", nil)
	w.setIssuer("corp", "Orders", true)
	return w, o
}

func pending(s orderState, look time.Time) issuance.Answer {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return issuance.Pending{State: seal.NewValue(text), Look: look}
}

func (o *ordering) Begin(_ context.Context, r issuance.Order) (issuance.Answer, error) {
	if r.Type == "EV" {
		return &issuance.OperationError{Code: issuance.RequestRejected, Message: "There is no EV here."}, nil
	}
	return pending(orderState{Key: r.RequestID}, time.Time{}), nil
}

func (o *ordering) Continue(ctx context.Context, r issuance.Order, state seal.Value) (issuance.Answer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = r
	var s orderState
	if err := json.Unmarshal(state.Reveal(), &s); err != nil {
		return nil, err
	}
	again := r.Now.Add(10 * time.Minute)
	if s.Order == nil {
		at := o.find(s.Key)
		if at < 0 {
			if op := o.w.stored(r.Name.String()); op.Order == nil {
				o.w.Error("an order is sent whose state is not stored")
			}
			o.orders = append(o.orders, &ordered{key: s.Key, csr: r.CSR})
			at = len(o.orders) - 1
		}
		if o.lost() {
			return nil, errors.New("the answer was lost")
		}
		s.Order = &at
		return pending(s, again), nil
	}
	order := o.orders[*s.Order]
	switch order.polls++; {
	case order.over:
		return issuance.OrderCancelled{}, nil
	case o.reject != "":
		return &issuance.OperationError{Code: issuance.RequestRejected, Message: o.reject}, nil
	case order.polls < o.polls:
		return pending(s, again), nil
	case o.issueTo != nil:
		return issuance.Issued{Leaf: o.issueTo}, nil
	}
	return o.issue(order), nil
}

func (o *ordering) issue(order *ordered) issuance.Answer {
	return issuance.Issued{Leaf: o.root.certify(o.w, order.csr).Raw, Chain: [][]byte{o.root.cert.Raw}}
}

func (o *ordering) find(key string) int {
	for i, order := range o.orders {
		if order.key == key {
			return i
		}
	}
	return -1
}

func (o *ordering) lost() bool {
	o.lose--
	return o.lose >= 0
}

// placed is how many orders there are with that key.
func (o *ordering) placed(key string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, order := range o.orders {
		if order.key == key {
			n++
		}
	}
	return n
}

// cancelling is an ordering that can cancel.
type cancelling struct{ *ordering }

func (o cancelling) Cancel(_ context.Context, _ issuance.Order, state seal.Value) (issuance.Answer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var s orderState
	if err := json.Unmarshal(state.Reveal(), &s); err != nil {
		return nil, err
	}
	at := o.find(s.Key)
	if at < 0 {
		return issuance.OrderCancelled{}, nil
	}
	if order := o.orders[at]; order.polls >= o.polls {
		return o.issue(order), nil
	}
	o.orders[at].over = true
	o.cancelled++
	if o.lost() {
		return nil, errors.New("the answer was lost")
	}
	return issuance.OrderCancelled{}, nil
}

// stored is the operation of a name as the database has it.
func (w *installation) stored(name string) (op *issuance.Operation) {
	w.Helper()
	w.must(w.db.View(w.Context(), func(tx *store.Tx) (err error) {
		op, err = tx.Operation(w.Context(), w.home.ID, object.MustName(name))
		return err
	}))
	return op
}

// try does what is due once, whatever fails, like a runner whose leases are long
// over at the next try.
func (w *installation) try() {
	w.Helper()
	w.pass(11 * time.Minute)
	var took []jobs.Job
	err := w.db.Update(w.Context(), func(tx *store.Tx) (err error) {
		took, err = tx.ClaimJobs(w.Context(), []jobs.Kind{certificate.IssueJob}, w.now(), w.now(), w.now().Add(time.Second), 9)
		return err
	})
	if err != nil {
		took = nil // the claim may have happened: it ends by itself
	}
	for _, j := range took {
		_ = w.service.Issue(w.Context(), j)
	}
}

// Every write on the way of an order fails once as if it did nothing and once as if
// it happened all the same, which is what a crash before and after it leaves: the
// order is placed once, and delivers.
func TestOrderIsPlacedOnceWhateverFails(t *testing.T) {
	for name, place := range map[string]func(testing.TB) store.Config{"SQLite": storetest.SQLite, "Postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			if name == "Postgres" && testing.Short() {
				return // -short leaves PostgreSQL out
			}
			w, o := newOrdering(t, place)
			run := func(n string, f *storetest.Fault) {
				t.Helper()
				key := w.begin(n, policyOf("corp")).RequestID
				w.fault.Store(f)
				for range 8 {
					w.try()
				}
				w.fault.Store(nil)
				if op := w.operation(n); op.Status != issuance.Completed || o.placed(key) != 1 || !w.get(n).Version.Completed {
					t.Errorf("%s: %s, %d orders", n, op.Status, o.placed(key))
				}
			}
			count := storetest.Nth(0, store.Before)
			run("count", count)
			if count.Passed() < 12 {
				t.Fatalf("%d writes", count.Passed())
			}
			for i := 1; i <= count.Passed(); i++ {
				for _, when := range []store.When{store.Before, store.After} {
					run(fmt.Sprintf("n-%d-%v", i, when), storetest.Nth(i, when))
				}
			}
			w.check()
		})
	}
}

// The state is sealed, and the job is due when the issuer said.
func TestOrderWaits(t *testing.T) {
	w, o := newOrdering(t, storetest.SQLite)
	_, err := w.service.SetIssuer(t.Context(), w.grant(access.CertificateIssuerSet, ""), object.MustName("corp"), certificate.IssuerParams{
		Provider: ptr("Orders"), AccountID: ptr("account"), Password: ptr(hidden("s3cret")), OrganizationID: ptr("7"), Admins: []issuance.Admin{{Email: ptr("a@b")}}})
	w.must(err)
	policy := policyOf("corp")
	policy.Issuer.CertificateType = ptr("OV")
	key := w.begin("web", policy).RequestID
	w.must(w.work())
	op := w.stored("web")
	if op.Status != issuance.InProgress || op.OrderStep != 2 || !op.OrderLook.Equal(w.now().Add(10*time.Minute)) {
		t.Errorf("operation %+v", op)
	}
	if bytes.Contains(op.Order, []byte(key)) {
		t.Error("the state is in clear")
	}
	box, err := w.sealer.Open(t.Context(), issuance.OrderPlace(w.home.ID, op.Name, key), op.Order)
	if err != nil || !bytes.Contains(box.Reveal(), []byte(key)) {
		t.Errorf("the state: %v", err)
	}
	r := o.told
	if r.RequestID != key || !bytes.Equal(r.CSR, op.CSR) || r.Type != "OV" || !r.Begun.Equal(op.Created) || r.Settings.AccountID != "account" ||
		string(r.Settings.Password.Reveal()) != "s3cret" || r.Settings.OrganizationID != "7" || len(r.Settings.Admins) != 1 {
		t.Errorf("the issuer was told %+v", r)
	}
	w.pass(10*time.Minute - time.Second)
	if n := len(w.claim()); n != 0 {
		t.Error("it is due too early")
	}
	w.pass(time.Second)
	w.must(w.work())
	w.pass(10 * time.Minute)
	w.must(w.work())
	if op := w.operation("web"); op.Status != issuance.Completed {
		t.Errorf("operation %+v", op)
	}
	w.check()
}

// An answer that is lost on its way leaves an order that is found.
func TestLostAnswerIsFound(t *testing.T) {
	w, o := newOrdering(t, storetest.SQLite)
	o.lose = 3
	key := w.begin("web", policyOf("corp")).RequestID
	if w.work() == nil {
		t.Error("no error")
	}
	for range 9 {
		w.try()
	}
	if op := w.operation("web"); op.Status != issuance.Completed || o.placed(key) != 1 {
		t.Errorf("%s, %d orders", op.Status, o.placed(key))
	}
}

// What an issuer rejects at either step, and what it delivers wrongly, ends the
// operation with the reason.
func TestOrderFails(t *testing.T) {
	w, o := newOrdering(t, storetest.SQLite)
	ev := policyOf("corp")
	ev.Issuer.CertificateType = ptr("EV")
	unrelated := newPair(t, o.root)
	for _, c := range []struct {
		claim, code, text string
		policy            *issuance.Patch
		prepare           func()
	}{
		{"rejected at once", issuance.RequestRejected, "no EV", ev, func() {}},
		{"rejected later", issuance.RequestRejected, "CAA", policyOf("corp"), func() { o.reject = "CAA forbids it." }},
		{"another key", issuance.IssuerError, "not for the requested key", policyOf("corp"), func() { o.reject, o.issueTo = "", unrelated.cert.Raw }},
	} {
		c.prepare()
		w.begin("web", c.policy)
		for range 3 {
			w.try()
		}
		if op := w.operation("web"); op.Status != issuance.Failed || op.Error.Code != c.code || !contains(op.Error.Message, c.text) {
			t.Errorf("%s: %s %+v", c.claim, op.Status, op.Error)
		}
		w.check()
	}
	// An order that never ends does: after a month.
	o.issueTo, o.polls = nil, 1e9
	w.begin("web", policyOf("corp"))
	w.try()
	w.pass(32 * 24 * time.Hour)
	w.try()
	if op := w.operation("web"); op.Status != issuance.Failed || !contains(op.Error.Message, "31 days") {
		t.Errorf("after a month %s %+v", op.Status, op.Error)
	}
}

// A cancellation does not wait for the next look, and reaches the authority; one
// that comes too late is noted. An issuer that cannot cancel leaves its order alone.
func TestOrderIsCancelled(t *testing.T) {
	for _, c := range []struct {
		claim     string
		can       bool
		looks     int // before the cancellation
		lose      int
		want      issuance.Status
		cancelled int
	}{
		{"while it waits", true, 1, 0, issuance.Cancelled, 1},
		{"with its answer lost", true, 1, 1, issuance.Cancelled, 2},
		{"too late", true, 2, 0, issuance.Completed, 0},
		{"by an issuer that cannot", false, 1, 0, issuance.Cancelled, 0},
	} {
		w, o := newOrdering(t, storetest.SQLite, func(cfg *certificate.Config) {
			if o := cfg.Issuers["orders"].(*ordering); c.can {
				cfg.Issuers["orders"] = cancelling{o}
			}
		})
		w.begin("web", policyOf("corp"))
		for range c.looks {
			w.try()
		}
		o.lose = c.lose
		if c.looks == 2 {
			o.orders[0].polls = o.polls // it is ready, and nobody has looked
		}
		wakes := w.wakes.Load()
		_, err := w.cancel("web", true)
		w.must(err)
		if w.wakes.Load() == wakes {
			t.Errorf("%s: nobody is woken", c.claim)
		}
		w.pass(time.Second) // not ten minutes
		err = w.work()
		if c.lose > 0 {
			if err == nil {
				t.Errorf("%s: no error", c.claim)
			}
			w.pass(2 * time.Minute)
			err = w.work()
		}
		w.must(err)
		if op := w.operation("web"); op.Status != c.want || !op.CancellationRequested || o.cancelled != c.cancelled {
			t.Errorf("%s: %s, %d cancelled", c.claim, op.Status, o.cancelled)
		}
		w.check()
	}
}

// A worker that lost its lease stores nothing any more, and so sends nothing.
func TestStaleWorkerStoresNoState(t *testing.T) {
	w, o := newOrdering(t, storetest.SQLite)
	key := w.begin("web", policyOf("corp")).RequestID
	stale := w.claim()[0]
	w.pass(2 * time.Minute)
	other := w.claim()[0]
	if err := w.service.Issue(t.Context(), stale); !errors.Is(err, object.ErrChanged) {
		t.Errorf("got %v", err)
	}
	if op := w.stored("web"); op.OrderStep != 0 || op.Order != nil || o.placed(key) != 0 {
		t.Errorf("the order is at step %d, %d are placed", op.OrderStep, o.placed(key))
	}
	w.must(w.service.Issue(t.Context(), other))
	if op := w.stored("web"); op.OrderStep != 2 || o.placed(key) != 1 {
		t.Errorf("the order is at step %d, %d are placed", op.OrderStep, o.placed(key))
	}
}

// An issuer that always wants to go on at once does not keep a worker for ever, and
// one that gives no answer, or no state, ends nothing.
func TestIssuerThatNeverWaits(t *testing.T) {
	asked := 0
	answer := issuance.Answer(issuance.Pending{State: seal.NewValue([]byte("x"))})
	w := newInstallation(t)
	w.setIssuer("corp", "Test", true)
	w.deliver(func(issuance.Order) (issuance.Answer, error) { asked++; return answer, nil })
	w.begin("web", policyOf("corp"))
	w.must(w.work())
	if asked < 5 || asked > 50 {
		t.Errorf("asked %d times", asked)
	}
	for _, answer = range []issuance.Answer{nil, issuance.Pending{}, issuance.Pending{State: seal.NewValue(make([]byte, issuance.MaxState+1))}} {
		w.pass(2 * time.Minute)
		if w.work() == nil {
			t.Errorf("%v is taken", answer)
		}
	}
	answer = issuance.Pending{State: seal.NewValue([]byte("x")), Look: w.now().AddDate(1, 0, 0)}
	w.pass(2 * time.Minute)
	w.must(w.work())
	if op := w.stored("web"); op.Status != issuance.InProgress || op.OrderLook.Sub(w.now()) > 24*time.Hour {
		t.Errorf("it is looked at again at %v", op.OrderLook)
	}
	w.check()
}
