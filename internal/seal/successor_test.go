package seal_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// replicas is a safe with a clock, and processes that know the time.
type replicas struct {
	*safe
	clock time.Time
	a, b  *seal.Sealer
	said  map[string]string // what secrets hold, by name
}

func newReplicas(t *testing.T) *replicas {
	r := &replicas{safe: newSafe(t), clock: epoch, said: map[string]string{}}
	r.a, r.b = r.sealer(), r.sealer()
	return r
}

// sealer is a new process.
func (r *replicas) sealer() *seal.Sealer {
	r.Helper()
	root, err := seal.OpenRootFile(r.path, seal.Value{})
	r.must(err)
	return seal.NewSealer(root, store.For[seal.Tx]{DB: r.db}, func() time.Time { return r.clock })
}

// seal makes a secret that is not stored yet.
func (r *replicas) seal(k *seal.Sealer, name string) *secret.Version {
	r.Helper()
	n := object.MustName(name)
	v := &secret.Version{Vault: r.vaults[0], Name: n, Version: object.NewVersion(), Attributes: object.Attributes{Created: epoch, Updated: epoch}}
	value := "value of " + name
	var err error
	v.Value, err = k.Seal(r.Context(), secret.ValuePlace(v.Vault, n, v.Version), seal.NewValue([]byte(value)))
	r.must(err)
	r.said[name] = value
	return v
}

func (r *replicas) store(v *secret.Version) error {
	h := object.Head{Vault: v.Vault, Name: v.Name, Current: v.Version}
	return r.db.Update(r.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.InsertSecret(r.Context(), h), tx.InsertSecretVersion(r.Context(), v))
	})
}

func (r *replicas) set(k *seal.Sealer, name string) {
	r.Helper()
	r.must(r.store(r.seal(k, name)))
}

// check opens every secret in a process; id is the data key that must have sealed them all, if any.
func (r *replicas) check(k *seal.Sealer, id string) {
	r.Helper()
	count := 0
	r.must(r.db.View(r.Context(), func(tx *store.Tx) error {
		for name, value := range r.said {
			list, err := tx.SecretVersions(r.Context(), r.vaults[0], object.MustName(name), object.Page{})
			if err != nil {
				return err
			}
			for _, v := range list {
				count++
				r.opens(k, secret.ValuePlace(v.Vault, v.Name, v.Version), v.Value, value)
				if by := fmt.Sprintf("%x", v.Value[1:9]); id != "" && by != id {
					r.Errorf("%s is sealed by %s and not %s", v.Name, by, id)
				}
			}
		}
		return nil
	}))
	if count != len(r.said) {
		r.Errorf("%d secrets of %d are there", count, len(r.said))
	}
}

// key is the current data key of a scope.
func (r *replicas) key(scope string) (k seal.DataKey) {
	r.Helper()
	for _, d := range r.dataKeys() {
		if d.Scope == scope && d.Replaced.IsZero() {
			k = d
		}
	}
	return k
}

func (r *replicas) find(k seal.DataKey) (found seal.DataKey, ok bool) {
	r.Helper()
	for _, d := range r.dataKeys() {
		if d.Scope == k.Scope && d.ID == k.ID {
			return d, true
		}
	}
	return found, false
}

// retire asks once, and says what it was asked about destroying.
func (r *replicas) retire(k *seal.Sealer, old seal.DataKey) (next time.Time, destroyed bool, err error) {
	now, ok := r.find(old)
	if !ok {
		return next, false, nil
	}
	next, err = k.Retire(r.Context(), now, func() (func(error), error) {
		return func(err error) { destroyed = err == nil }, nil
	})
	return next, destroyed, err
}

// end retires a key to its end, with the time that it takes.
func (r *replicas) end(k *seal.Sealer, old seal.DataKey) {
	r.Helper()
	for range 10 {
		next, destroyed, err := r.retire(k, old)
		r.must(err)
		if destroyed || next.IsZero() {
			return
		}
		r.clock = next
	}
	r.Fatal("it does not end")
}

// A key that was replaced seals nothing more on any replica after the stated time; what a
// replica has sealed before and stores after is sealed again too, and never lost.
func TestReplacedKeyIsDestroyedWithNothingLost(t *testing.T) {
	r := newReplicas(t)
	for i := range 250 { // more than two batches
		r.set(r.a, fmt.Sprintf("s%d", i))
	}
	r.set(r.b, "other")
	old := r.key(string(r.vaults[0]))
	slow := r.seal(r.b, "slow") // and stored later
	late := r.seal(r.b, "late") // and stored too late
	id, err := r.a.Replace(t.Context(), old)
	r.must(err)
	if k := r.key(old.Scope); k.ID != id || k.ID == old.ID {
		t.Fatalf("the successor of %+v is %+v", old, k)
	}
	after := r.seal(r.a, "after")
	if by := fmt.Sprintf("%x", after.Value[1:9]); by != id {
		t.Errorf("who replaced the key seals with %s and not its successor", by)
	}
	r.must(r.store(after))
	stale := r.seal(r.b, "stale")
	if by := fmt.Sprintf("%x", stale.Value[1:9]); by != old.ID {
		t.Fatalf("the other replica has asked already: the test looks in the wrong place")
	}
	r.clock = r.clock.Add(seal.DefaultLimits.Reading)
	if next := r.seal(r.b, "fresh"); fmt.Sprintf("%x", next.Value[1:9]) != id {
		t.Error("the other replica still seals with the old key")
	} else {
		r.must(r.store(next))
	}

	next, destroyed, err := r.retire(r.a, old)
	if k, _ := r.find(old); err != nil || destroyed || !next.Equal(k.Replaced.Add(seal.DefaultLimits.Grace)) || !k.Closed.IsZero() {
		t.Fatalf("%v, %v, %v, %+v", next, destroyed, err, k)
	}
	r.must(r.store(slow))
	r.must(r.store(stale))
	delete(r.said, "late")
	r.check(r.sealer(), "")
	r.clock = next
	next, destroyed, err = r.retire(r.b, old)
	if k, _ := r.find(old); err != nil || destroyed || !next.Equal(k.Closed.Add(seal.DefaultLimits.Grace)) {
		t.Fatalf("%v, %v, %v, %+v", next, destroyed, err, k)
	}
	r.check(r.sealer(), id)
	if err := r.store(late); !errors.Is(err, seal.ErrClosed) {
		t.Errorf("a box of a closed key is stored: %v", err)
	}
	r.set(r.b, "late") // sealed again

	opened := r.sealer()
	opened.Limits.Reading = time.Hour
	r.opens(opened, secret.ValuePlace(slow.Vault, slow.Name, slow.Version), slow.Value, "value of slow") // who has read it before
	r.clock = next
	if _, destroyed, err = r.retire(r.b, old); err != nil || !destroyed {
		t.Fatalf("%v, %v", destroyed, err)
	}
	if _, ok := r.find(old); ok {
		t.Error("the old key is still there")
	}
	r.check(r.sealer(), id)
	for name, k := range map[string]*seal.Sealer{"who destroyed it": r.b, "a new process": r.sealer(), "who opened it before": opened} {
		if k == opened {
			r.must(k.ForgetDestroyed(t.Context()))
		}
		if _, err := k.Open(t.Context(), secret.ValuePlace(slow.Vault, slow.Name, slow.Version), slow.Value); !errors.Is(err, seal.ErrBox) {
			t.Errorf("%s opens a box of the destroyed key: %v", name, err)
		}
	}
	if _, err := r.a.Replace(t.Context(), old); !errors.Is(err, object.ErrChanged) {
		t.Errorf("a destroyed key gets a successor: %v", err)
	}
}

// Whichever write fails on whichever side, everything opens, and the next attempt goes on.
func TestRetirementSurvivesFailingWrites(t *testing.T) {
	for _, when := range []store.When{store.Before, store.After} {
		for write := 1; ; write++ {
			r := newReplicas(t)
			for i := range 3 {
				r.set(r.a, fmt.Sprintf("s%d", i))
			}
			old := r.key(string(r.vaults[0]))
			f := storetest.Nth(write, when)
			r.fault.Store(f)
			var err error
			step := func(do func() error) {
				if err == nil {
					err = do()
				}
			}
			step(func() error { _, err := r.a.Replace(t.Context(), old); return err })
			for range 3 {
				step(func() error {
					next, _, err := r.retire(r.a, old)
					if !next.IsZero() {
						r.clock = next
					}
					return err
				})
			}
			r.fault.Store(nil)
			if err == nil { // every write has been failed
				if write < 12 {
					t.Errorf("only %d writes", write-1)
				}
				break
			}
			if !errors.Is(err, storetest.ErrInjected) {
				t.Fatalf("%v write %d: %v", when, write, err)
			}
			r.check(r.a, "")
			fresh := r.sealer()
			r.check(fresh, "")
			if k, _ := r.find(old); k.Replaced.IsZero() {
				_, err := fresh.Replace(t.Context(), old)
				if err != nil && !errors.Is(err, object.ErrChanged) {
					t.Fatal(err)
				}
			}
			r.end(fresh, old)
			r.clock = r.clock.Add(time.Second)
			r.check(r.sealer(), r.key(old.Scope).ID)
			if n := len(r.dataKeys()); n != 1 {
				t.Errorf("%v write %d: %d data keys", when, write, n)
			}
		}
	}
}

// A box that does not open is named, keeps its key, and holds up no other.
func TestDamagedBoxKeepsItsKey(t *testing.T) {
	r := newReplicas(t)
	for i := range 5 {
		r.set(r.a, fmt.Sprintf("s%d", i))
	}
	old := r.key(string(r.vaults[0]))
	r.damage("s2")
	_, err := r.a.Replace(t.Context(), old)
	r.must(err)
	r.clock = r.clock.Add(24 * time.Hour)
	for range 3 {
		if _, destroyed, err := r.retire(r.a, old); destroyed || err == nil || !strings.Contains(err.Error(), "s2") || strings.Contains(err.Error(), "s1") {
			t.Fatalf("%v, %v", destroyed, err)
		}
	}
	p, err := r.a.Progress(t.Context(), old)
	if k, ok := r.find(old); err != nil || p != (seal.Progress{Left: 1, Total: 5}) || !ok || !k.Closed.IsZero() {
		t.Errorf("%+v, %v, %+v", p, err, k)
	}
	r.damage("s2") // the same again mends it
	r.end(r.a, old)
	r.check(r.sealer(), r.key(old.Scope).ID)
}

// damage flips a bit of the box of a secret, as somebody does who can write to the file.
func (r *replicas) damage(name string) {
	r.Helper()
	db := r.file()
	defer db.Close()
	var box []byte
	r.must(db.QueryRow("SELECT value FROM secret_versions WHERE name = ?", name).Scan(&box))
	box[30] ^= 1
	_, err := db.Exec("UPDATE secret_versions SET value = ? WHERE name = ?", box, name)
	r.must(err)
}

func (r *replicas) file() *sql.DB {
	r.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.dir, "coffer.db"))
	r.must(err)
	return db
}

func (r *replicas) sql(query string, args ...any) {
	r.Helper()
	db := r.file()
	defer db.Close()
	_, err := db.Exec(query, args...)
	r.must(err)
}

// Boxes are counted in blocks before they are sealed, in every process, and what a crash
// leaves of a block counts all the same.
func TestBoxesAreCounted(t *testing.T) {
	r := newReplicas(t)
	limit := func(k *seal.Sealer) *seal.Sealer {
		k.Limits.Block, k.Limits.Soon, k.Limits.Most = 4, 16, 20
		return k
	}
	limit(r.a)
	limit(r.b)
	p := r.place(0)
	sealed := func(k *seal.Sealer, n int) {
		t.Helper()
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				if _, err := k.Seal(t.Context(), p, seal.NewValue([]byte("x"))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	want := func(n int64, due bool) {
		t.Helper()
		if k := r.key(string(p.Vault)); k.Sealed != n || r.a.Due(k) != due {
			t.Errorf("counted are %d, due %v; want %d, %v", k.Sealed, r.a.Due(k), n, due)
		}
	}
	sealed(r.a, 4)
	want(4, false)
	sealed(r.a, 1)
	want(8, false)
	sealed(r.b, 1)
	want(12, false)
	sealed(limit(r.sealer()), 1)
	want(16, true)
	sealed(r.a, 3) // what it has left
	want(16, true)
	sealed(r.a, 4)
	want(20, true)
	if _, err := r.a.Seal(t.Context(), p, seal.Value{}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "used up") {
		t.Errorf("a key seals more than it may: %v", err)
	}
	want(20, true)
	old := r.key(string(p.Vault))
	_, err := r.b.Replace(t.Context(), old)
	r.must(err)
	sealed(r.a, 5)
	if k := r.key(string(p.Vault)); k.ID == old.ID || k.Sealed != 12 { // a block with its insertion, and two of a
		t.Errorf("%+v", k)
	}
}

// Paging tokens use up nothing of a vault's key, and open for their time.
func TestContinuationsHaveAKeyOfTheirOwn(t *testing.T) {
	r := newReplicas(t)
	p := seal.Place{Kind: "continuation", Vault: r.vaults[0], Column: "/secrets"}
	box, err := r.a.Seal(t.Context(), p, seal.NewValue([]byte("after")))
	r.must(err)
	if k := r.key(string(r.vaults[0])); k.ID != "" {
		t.Errorf("the vault has got a key for a paging token: %+v", k)
	}
	r.opens(r.sealer(), p, box, "after") // another replica, and after a restart
	other := p
	other.Vault = r.vaults[1]
	if _, err := r.a.Open(t.Context(), other, box); !errors.Is(err, seal.ErrBox) {
		t.Errorf("it opens for another vault: %v", err)
	}
	old := r.key(seal.Continuations)
	_, err = r.a.Replace(t.Context(), old)
	r.must(err)
	for _, still := range []time.Duration{time.Hour, 23 * time.Hour} {
		r.clock = epoch.Add(still)
		_, destroyed, err := r.retire(r.a, old)
		if err != nil || destroyed {
			t.Errorf("after %v: %v, %v", still, destroyed, err)
		}
		r.opens(r.sealer(), p, box, "after")
	}
	r.clock = epoch.Add(24 * time.Hour)
	if _, destroyed, err := r.retire(r.a, old); err != nil || !destroyed {
		t.Errorf("after its time: %v, %v", destroyed, err)
	}
}

// A backup of an object is outside of the database: its key stays, until it is released.
func TestBackupsOpenAfterTheirKeyWasReplaced(t *testing.T) {
	r := newReplicas(t)
	p := seal.Place{Kind: "backup", Name: "tenant", Column: "secret"}
	box, err := r.a.Seal(t.Context(), p, seal.NewValue([]byte("blob")))
	r.must(err)
	// Before backups had a key of their own, that of the installation sealed them (migration 8).
	former, err := r.a.SealUnder(t.Context(), seal.Installation, p, seal.NewValue([]byte("former")))
	r.must(err)
	r.sql("UPDATE data_keys SET kept = 1 WHERE scope = ?", seal.Installation)
	olds := []seal.DataKey{r.key(seal.Backups), r.key(seal.Installation)}
	if !olds[0].Kept || !olds[1].Kept {
		t.Fatalf("%+v", olds)
	}
	for _, old := range olds {
		_, err := r.a.Replace(t.Context(), old)
		r.must(err)
		r.end(r.a, old)
	}
	r.opens(r.sealer(), p, former, "former")
	r.opens(r.sealer(), p, box, "blob")
	fresh, err := r.a.Seal(t.Context(), p, seal.NewValue([]byte("new")))
	r.must(err)
	r.must(r.a.Release(t.Context()))
	r.clock = r.clock.Add(time.Hour)
	for i, box := range []seal.Box{box, former} {
		r.end(r.a, olds[i])
		if _, err := r.sealer().Open(t.Context(), p, box); !errors.Is(err, seal.ErrBox) {
			t.Errorf("a released backup opens: %v", err)
		}
	}
	next := r.key(seal.Installation)
	_, err = r.a.Replace(t.Context(), next)
	r.must(err)
	r.end(r.a, next)
	if _, ok := r.find(next); ok {
		t.Error("a key of the installation that has sealed no backups is kept")
	}
	r.opens(r.sealer(), p, fresh, "new")
}

// A process that does not know yet that another one replaced the key asks before it seals
// again, and what is stored between its walk and the closing is sealed again too.
func TestRetirementMissesNothing(t *testing.T) {
	r := newReplicas(t)
	r.set(r.b, "s")
	late := r.seal(r.b, "late")
	old := r.key(string(r.vaults[0]))
	id, err := r.a.Replace(t.Context(), old)
	r.must(err)
	_, _, err = r.retire(r.b, old)
	r.must(err)
	delete(r.said, "late")
	r.check(r.sealer(), id)

	r.clock = r.clock.Add(time.Hour)
	var between func()
	k := seal.NewSealer(r.root, slowDB{store.For[seal.Tx]{DB: r.db}, &between}, func() time.Time { return r.clock })
	between = func() { // the next write closes the key: there is nothing to be sealed again
		between = nil
		r.must(r.store(late))
	}
	_, destroyed, err := r.retire(k, old)
	if now, _ := r.find(old); err != nil || destroyed || now.Closed.IsZero() {
		t.Fatalf("%v, %v, %+v", destroyed, err, now)
	}
	r.said["late"] = "value of late"
	r.check(r.sealer(), id)
}

// A root key that is rotated takes along the keys that were replaced.
func TestRootKeyRotatesBesideSuccessors(t *testing.T) {
	r := newReplicas(t)
	r.set(r.a, "s")
	old := r.key(string(r.vaults[0]))
	_, err := r.a.Replace(t.Context(), old)
	r.must(err)
	r.must(r.root.Rotate(t.Context(), epoch))
	if n, err := r.a.Rewrap(t.Context()); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	r.must(r.root.Retire(t.Context()))
	r.check(r.sealer(), old.ID)
	r.end(r.sealer(), old)
	r.check(r.sealer(), r.key(old.Scope).ID)
}
