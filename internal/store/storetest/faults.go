package storetest

import (
	"errors"
	"fmt"
	"sync"

	"coffer/internal/certificate"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// ErrInjected is what an injected fault fails with.
var ErrInjected = errors.New("storetest: injected fault")

// Fault fails one write on one side, once. It is made by At or Nth.
type Fault struct {
	point string // "" any
	when  store.When
	nth   int // counts passings of the point and side, from 1

	mu     sync.Mutex
	passed int // guarded by mu
}

// At fails the first write of that name on that side: "InsertSecret",
// store.Commit.
func At(point string, when store.When) *Fault { return &Fault{point: point, when: when, nth: 1} }

// Nth fails the nth write, whatever its name, counting from 1.
func Nth(n int, when store.When) *Fault { return &Fault{when: when, nth: n} }

// Hook is for store.Config.Faults.
func (f *Fault) Hook(point string, when store.When) error {
	if when != f.when || f.point != "" && point != f.point {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.passed++; f.passed == f.nth {
		return fmt.Errorf("%w %v %s", ErrInjected, when, point)
	}
	return nil
}

// Passed is how many writes came by.
func (f *Fault) Passed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.passed
}

// failures counts the writes of each scenario in a run that succeeds, then fails
// each of them once on each side, in a database that is opened again afterwards.
func failures(s *suite) {
	v := object.NewVaultID()
	prepare := func(tx *store.Tx) error {
		return errors.Join(
			tx.DeleteVault(s.ctx, v),
			insertVault(s.ctx, tx, v, "one"),
			issued(s.ctx, tx, v, web, 1),
			begin(s.ctx, tx, v, other, 2),
		)
	}
	for _, scenario := range []struct {
		name string
		fn   func(tx *store.Tx) error
	}{
		{"import", func(tx *store.Tx) error { return issued(s.ctx, tx, v, object.MustName("new"), 3) }},
		{"issue", func(tx *store.Tx) error { return finish(s.ctx, tx, v, other, 2, 1_000_002) }},
		{"delete and purge", func(tx *store.Tx) error {
			d := &object.Deletion{At: epoch, PurgeAt: epoch}
			return errors.Join(remove(s.ctx, tx, v, web, d), purge(s.ctx, tx, v, web))
		}},
		{"change", func(tx *store.Tx) error {
			ver, k, sec := newCertificate(v, web, versionID(1_000_001)), newKey(v, web, versionID(1_000_001)), newSecret(v, web, versionID(1_000_001))
			ver.Tags, k.Tags, sec.Tags = nil, nil, nil
			changed := newVault(v, "one")
			changed.Revision++
			return errors.Join(
				tx.UpdateVersion(s.ctx, ver), tx.UpdateKeyVersion(s.ctx, k), tx.UpdateSecretVersion(s.ctx, sec),
				tx.UpdateVault(s.ctx, changed), tx.SetContacts(s.ctx, v, []certificate.Contact{{Email: "a@b"}}),
				tx.PutIssuer(s.ctx, &certificate.Issuer{Vault: v, Name: web, Created: epoch, Updated: epoch}),
				tx.ReplaceDataKey(s.ctx, string(v), DataKey("").ID, epoch),
				tx.InsertDataKey(s.ctx, seal.DataKey{Scope: string(v), ID: "1", Wrapped: []byte("w"), Created: epoch}),
			)
		}},
		{"delete the vault", func(tx *store.Tx) error { return tx.DeleteVault(s.ctx, v) }},
	} {
		run := func(f *Fault) (before, after state, err error) {
			s.must(s.db.Update(s.ctx, prepare))
			before = s.state(s.db, v)
			cfg := s.cfg
			cfg.Faults = f.Hook
			broken := Reopen(s, s.db, cfg)
			err = broken.Update(s.ctx, scenario.fn)
			s.db = Reopen(s, broken, s.cfg)
			for _, err := range CheckVault(s.ctx, s.db) {
				s.Errorf("%s: %v", scenario.name, err)
			}
			return before, s.state(s.db, v), err
		}
		count := Nth(0, store.Before)
		before, done, err := run(count)
		s.must(err)
		if equal(before, done) {
			s.Fatalf("%s changes nothing", scenario.name)
		}
		for nth := 1; nth <= count.Passed(); nth++ {
			for _, when := range []store.When{store.Before, store.After} {
				before, after, err := run(Nth(nth, when))
				if !errors.Is(err, ErrInjected) {
					s.Errorf("%s, %v write %d: got error %v", scenario.name, when, nth, err)
				}
				want, lost := before, nth == count.Passed() && when == store.After
				if lost { // the commit happened
					want = done
				}
				if errors.Is(err, object.ErrOutcomeUnknown) != lost {
					s.Errorf("%s, %v write %d of %d: got error %v", scenario.name, when, nth, count.Passed(), err)
				}
				if !equal(after, want) {
					s.Errorf("%s, %v write %d of %d: left neither all nor nothing", scenario.name, when, nth, count.Passed())
				}
			}
		}
	}
}
