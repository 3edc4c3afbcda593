package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// beginning is when it happens.
var beginning = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

// sink keeps what it is told, and fails as told.
type sink struct {
	told []outbox.Message
	err  error
}

func (s *sink) Deliver(_ context.Context, m outbox.Message) error {
	s.told = append(s.told, m)
	return s.err
}

type installation struct {
	*testing.T
	db    *store.DB
	box   *outbox.Outbox
	home  *vault.Vault
	fault *storetest.Fault
	now   time.Time
}

func newInstallation(t *testing.T, recipients ...outbox.Recipient) *installation {
	t.Helper()
	w := &installation{T: t, now: beginning}
	cfg := storetest.SQLite(t)
	cfg.Faults = func(point string, when store.When) error {
		if w.fault == nil {
			return nil
		}
		return w.fault.Hook(point, when)
	}
	w.db = storetest.Open(t, cfg)
	w.home = storetest.NewVault(t, w.db, vault.Vault{Name: "home"}, beginning)
	w.with(recipients...)
	return w
}

// with is a start with other recipients.
func (w *installation) with(recipients ...outbox.Recipient) {
	w.Helper()
	var err error
	w.box, err = outbox.New(store.For[outbox.DeliveryTx]{DB: w.db}, recipients...)
	w.must(err)
}

func (w *installation) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *installation) put(t outbox.Topic) error {
	expires := beginning.Add(time.Hour)
	m := outbox.OfVersion(t, w.home.ID, outbox.Subject{Family: object.Keys, Name: object.MustName("Web"), Version: "v1"}, object.Attributes{Expires: &expires}, w.now)
	return w.db.Update(w.Context(), func(tx *store.Tx) error { return w.box.Put(w.Context(), tx, m) })
}

// work claims what is due and does it, and gives what came of each by recipient.
func (w *installation) work() (results []error) {
	w.Helper()
	var took []jobs.Job
	w.must(w.db.Update(w.Context(), func(tx *store.Tx) (err error) {
		took, err = tx.ClaimJobs(w.Context(), []jobs.Kind{outbox.DeliverJob}, w.now, w.now, w.now.Add(time.Second), 9)
		return err
	}))
	for _, j := range took {
		results = append(results, w.box.Spec().Run(w.Context(), j))
	}
	w.now = w.now.Add(time.Minute)
	return results
}

func (w *installation) left() (messages, deliveries int) {
	w.Helper()
	w.must(w.db.View(w.Context(), func(tx *store.Tx) error {
		all, err := tx.Messages(w.Context())
		list, listed := tx.Jobs(w.Context())
		messages, deliveries = len(all), len(list)
		return errors.Join(err, listed)
	}))
	for _, err := range storetest.CheckVault(w.Context(), w.db) {
		w.Error(err)
	}
	return messages, deliveries
}

var both = []outbox.Topic{outbox.KeyNearExpiry, outbox.KeyNewVersion}

// Each recipient is told what it asked for; the message goes with the last of them.
func TestRecipientsAreToldByTopic(t *testing.T) {
	var one, two sink
	w := newInstallation(t, outbox.Recipient{Name: "one", Topics: both, Sink: &one}, outbox.Recipient{Name: "two", Topics: both[:1], Sink: &two})
	w.must(w.put(outbox.KeyNearExpiry))
	w.must(w.put(outbox.KeyNewVersion))
	w.must(w.put(outbox.SecretNewVersion)) // nobody is told: nothing is stored
	if m, d := w.left(); m != 2 || d != 3 {
		t.Errorf("%d messages, %d deliveries", m, d)
	}
	two.err = errors.New("away")
	if got := w.work(); len(got) != 3 {
		t.Errorf("%v", got)
	}
	if m, d := w.left(); m != 1 || d != 1 || len(one.told) != 2 || len(two.told) != 1 {
		t.Errorf("%d messages, %d deliveries, told %d and %d", m, d, len(one.told), len(two.told))
	}
	two.err = nil
	w.work()
	if m, d := w.left(); m != 0 || d != 0 || len(one.told) != 2 || len(two.told) != 2 || two.told[0].ID != two.told[1].ID {
		t.Errorf("%d messages, %d deliveries, told %d and %+v", m, d, len(one.told), two.told)
	}
	got := two.told[0]
	if got.Topic != outbox.KeyNearExpiry || got.Subject.Name.String() != "Web" || string(got.Data) != `{"NBF":null,"EXP":1769871906}` || !got.Created.Equal(beginning) {
		t.Errorf("told %+v", got)
	}
}

// Whatever fails, what happened is told, and what did not happen is not.
func TestMessagesSurviveFailedWrites(t *testing.T) {
	var told sink
	w := newInstallation(t, outbox.Recipient{Name: "one", Topics: both, Sink: &told})
	run := func(f *storetest.Fault) (happened bool) {
		told.told, w.fault = nil, f
		happened = w.put(outbox.KeyNewVersion) == nil
		for range 3 {
			var took []jobs.Job
			err := w.db.Update(t.Context(), func(tx *store.Tx) (err error) {
				took, err = tx.ClaimJobs(t.Context(), []jobs.Kind{outbox.DeliverJob}, w.now, w.now, w.now.Add(time.Second), 9)
				return err
			})
			for _, j := range took {
				if err == nil {
					_ = w.box.Spec().Run(t.Context(), j)
				}
			}
			w.now = w.now.Add(time.Minute)
		}
		w.fault = nil
		return happened
	}
	count := storetest.Nth(0, store.Before)
	run(count)
	if count.Passed() < 7 {
		t.Fatalf("%d writes", count.Passed())
	}
	for i := 1; i <= count.Passed(); i++ {
		for _, when := range []store.When{store.Before, store.After} {
			happened := run(storetest.Nth(i, when))
			ids := map[string]bool{}
			for _, m := range told.told {
				ids[m.ID] = true
			}
			if happened && len(ids) != 1 || len(ids) > 1 {
				t.Errorf("%v write %d: happened %v, told %d times of %d", when, i, happened, len(told.told), len(ids))
			}
			if m, d := w.left(); m != 0 || d != 0 {
				t.Errorf("%v write %d: %d messages, %d deliveries are left", when, i, m, d)
			}
		}
	}
}

// What can never be delivered is given up at once, and stays to be seen.
func TestRecipientThatIsGone(t *testing.T) {
	w := newInstallation(t, outbox.Recipient{Name: "one", Topics: both, Sink: &sink{}})
	w.must(w.put(outbox.KeyNewVersion))
	w.with()
	results := w.work()
	if len(results) != 1 || !strings.Contains(results[0].Error(), `no recipient "one"`) {
		t.Errorf("got %v", results)
	}
	if m, d := w.left(); m != 1 || d != 1 {
		t.Errorf("%d messages, %d deliveries", m, d)
	}
}

func TestNoOutboxTellsNobody(t *testing.T) {
	w := newInstallation(t)
	w.box = nil
	w.must(w.put(outbox.KeyNewVersion))
	if m, d := w.left(); m != 0 || d != 0 {
		t.Errorf("%d messages, %d deliveries", m, d)
	}
}

func TestRecipientsAreChecked(t *testing.T) {
	for claim, list := range map[string][]outbox.Recipient{
		"no name": {{Sink: &sink{}}}, "no sink": {{Name: "one"}}, "one name twice": {{Name: "one", Sink: &sink{}}, {Name: "one", Sink: &sink{}}},
	} {
		if _, err := outbox.New(nil, list...); err == nil {
			t.Error(claim)
		}
	}
}

func TestLogShowsTheSubject(t *testing.T) {
	var log strings.Builder
	w := newInstallation(t, outbox.Recipient{Name: "log", Topics: both, Sink: outbox.Log{Logger: slog.New(slog.NewTextHandler(&log, nil))}})
	w.must(w.put(outbox.KeyNearExpiry))
	w.must(w.put(outbox.KeyNewVersion))
	if results := w.work(); slices.ContainsFunc(results, func(err error) bool { return err != nil }) {
		t.Error(results)
	}
	for _, want := range []string{"level=WARN msg=\"a key is about to expire\"", "name=Web version=v1 expires=2026-01-31T15:05:06.000Z", "level=INFO msg=Microsoft.KeyVault.KeyNewVersionCreated"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
}
