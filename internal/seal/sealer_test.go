package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

var epoch = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

func now() time.Time { return epoch }

// safe is a database with two vaults, and a root key.
type safe struct {
	testing.TB
	path   string // of the root key file
	dir    string
	db     *store.DB
	root   *seal.RootFile
	vaults [2]object.VaultID
	fault  atomic.Pointer[storetest.Fault]
}

func newSafe(t testing.TB) *safe {
	t.Helper()
	cfg := storetest.SQLite(t)
	s := &safe{TB: t, path: filepath.Join(t.TempDir(), "root.key"), dir: filepath.Dir(cfg.Path)}
	cfg.Faults = func(point string, when store.When) error {
		if f := s.fault.Load(); f != nil {
			return f.Hook(point, when)
		}
		return nil
	}
	s.db = storetest.Open(t, cfg)
	var err error
	if s.root, err = seal.CreateRootFile(s.path, seal.Value{}, epoch); err != nil {
		t.Fatal(err)
	}
	for i := range s.vaults {
		s.vaults[i] = object.NewVaultID()
		v := &vault.Vault{ID: s.vaults[i], Name: string(s.vaults[i][:8]), Revision: 1}
		s.must(s.db.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertVault(t.Context(), v) }))
	}
	return s
}

func (s *safe) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// sealer is a new process: it has nothing in memory.
func (s *safe) sealer() *seal.Sealer {
	s.Helper()
	root, err := seal.OpenRootFile(s.path, seal.Value{})
	s.must(err)
	return seal.NewSealer(root, store.For[seal.Tx]{DB: s.db}, now)
}

func (s *safe) dataKeys() (list []seal.DataKey) {
	s.Helper()
	s.must(s.db.View(s.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.DataKeys(s.Context(), "")
		return err
	}))
	return list
}

func (s *safe) opens(k *seal.Sealer, p seal.Place, b seal.Box, want string) {
	s.Helper()
	if v, err := k.Open(s.Context(), p, b); err != nil || string(v.Reveal()) != want {
		s.Errorf("%s: %v", p.Name, err)
	}
}

func (s *safe) place(i int) seal.Place {
	return seal.Place{Kind: "secret", Vault: s.vaults[i], Name: "web", Column: "value"}
}

func TestEachScopeHasItsKey(t *testing.T) {
	s := newSafe(t)
	k := s.sealer()
	places := []seal.Place{s.place(0), s.place(1), {Kind: "backup", Column: "x"}}
	var boxes []seal.Box
	for _, p := range places {
		b, err := k.Seal(t.Context(), p, seal.NewValue([]byte("plain")))
		s.must(err)
		boxes = append(boxes, b)
	}
	if got := s.dataKeys(); len(got) != 3 || !got[0].Created.Equal(epoch) {
		t.Errorf("%+v", got)
	}
	for _, k := range []*seal.Sealer{k, s.sealer()} {
		for i, p := range places {
			s.opens(k, p, boxes[i], "plain")
			for j, other := range places {
				if _, err := k.Open(t.Context(), other, boxes[i]); i != j && !errors.Is(err, seal.ErrBox) {
					t.Errorf("box %d opens in %+v: %v", i, other, err)
				}
			}
		}
	}
	if _, err := k.Open(t.Context(), places[0], boxes[0][:20]); !errors.Is(err, seal.ErrBox) {
		t.Errorf("a cut box: %v", err)
	}
	if _, err := s.sealer().Open(t.Context(), seal.Place{Vault: object.NewVaultID()}, boxes[0]); !errors.Is(err, seal.ErrBox) {
		t.Errorf("a vault that never sealed: %v", err)
	}
	if _, err := s.sealer().Seal(t.Context(), seal.Place{Vault: object.NewVaultID()}, seal.Value{}); err == nil {
		t.Error("a vault that is not there gets a key")
	}
}

// Many callers and two processes that seal for a vault for the first time make
// one data key.
func TestFirstUseMakesOneKey(t *testing.T) {
	s := newSafe(t)
	processes := []*seal.Sealer{s.sealer(), s.sealer()}
	boxes := make([]seal.Box, 32)
	var wg sync.WaitGroup
	for i := range boxes {
		wg.Go(func() {
			var err error
			if boxes[i], err = processes[i%2].Seal(t.Context(), s.place(0), seal.NewValue([]byte("plain"))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.dataKeys(); len(got) != 1 {
		t.Fatalf("%d data keys", len(got))
	}
	for _, b := range boxes {
		for _, k := range append(processes, s.sealer()) {
			s.opens(k, s.place(0), b, "plain")
		}
	}
}

// A first use whose commit is in doubt leaves a key that the next use takes.
func TestFirstUseThatFails(t *testing.T) {
	for _, when := range []store.When{store.Before, store.After} {
		for _, point := range []string{"InsertDataKey", store.Commit} {
			s := newSafe(t)
			k := s.sealer()
			s.fault.Store(storetest.At(point, when))
			if _, err := k.Seal(t.Context(), s.place(0), seal.Value{}); !errors.Is(err, storetest.ErrInjected) {
				t.Errorf("%v %s: %v", when, point, err)
			}
			b, err := k.Seal(t.Context(), s.place(0), seal.NewValue([]byte("plain")))
			s.must(err)
			s.opens(s.sealer(), s.place(0), b, "plain")
			if got := s.dataKeys(); len(got) != 1 {
				t.Errorf("%v %s: %d data keys", when, point, len(got))
			}
		}
	}
}

// Rewrap is all or nothing, whichever write fails; and at no time is a data key
// without its root key in the file.
func TestRewrapSurvivesFailingWrites(t *testing.T) {
	for _, when := range []store.When{store.Before, store.After} {
		for write := 1; write <= 3; write++ { // two keys and the commit
			s := newSafe(t)
			k := seal.NewSealer(s.root, store.For[seal.Tx]{DB: s.db}, now)
			var boxes []seal.Box
			for i := range s.vaults {
				b, err := k.Seal(t.Context(), s.place(i), seal.NewValue([]byte("plain")))
				s.must(err)
				boxes = append(boxes, b)
			}
			check := func(root string) {
				t.Helper()
				fresh := s.sealer()
				for i, b := range boxes {
					s.opens(k, s.place(i), b, "plain")
					s.opens(fresh, s.place(i), b, "plain")
				}
				for _, d := range s.dataKeys() {
					if d.RootID != root {
						t.Errorf("%v write %d: data key of %s is under %s, not %s", when, write, d.Scope, d.RootID, root)
					}
				}
			}
			old := s.root.CurrentID()
			s.must(s.root.Rotate(t.Context(), epoch))
			s.fault.Store(storetest.Nth(write, when))
			if _, err := k.Rewrap(t.Context()); !errors.Is(err, storetest.ErrInjected) {
				t.Errorf("%v write %d: %v", when, write, err)
			}
			if write == 3 && when == store.After { // the commit happened
				check(s.root.CurrentID())
			} else {
				check(old)
			}
			s.must(s.root.Rotate(t.Context(), epoch)) // the command is run again
			if n, err := k.Rewrap(t.Context()); err != nil || n != 2 {
				t.Errorf("%v write %d: %d, %v", when, write, n, err)
			}
			s.must(s.root.Retire(t.Context()))
			check(s.root.CurrentID())
			if s.root.CurrentID() == old {
				t.Error("nothing was rotated")
			}
		}
	}
}

// A vault's first use in the middle of a rotation: its key must not be stored
// under the root key that is about to be retired.
func TestFirstUseDuringARotation(t *testing.T) {
	s := newSafe(t)
	var rotate func()
	slow := slowDB{store.For[seal.Tx]{DB: s.db}, &rotate}
	k := seal.NewSealer(s.root, slow, now)
	rotate = func() {
		rotate = nil
		s.must(s.root.Rotate(t.Context(), epoch))
		_, err := k.Rewrap(t.Context())
		s.must(err)
		s.must(s.root.Retire(t.Context()))
	}
	b, err := k.Seal(t.Context(), s.place(0), seal.NewValue([]byte("plain")))
	s.must(err)
	s.opens(s.sealer(), s.place(0), b, "plain")
}

// A replica whose root key file is older than the database makes no data key,
// which nobody else could open; with the new file it goes on.
func TestOldRootKeyMakesNoDataKey(t *testing.T) {
	s := newSafe(t)
	_, err := s.sealer().Seal(t.Context(), s.place(0), seal.NewValue([]byte("plain")))
	s.must(err)
	file, err := os.ReadFile(s.path)
	s.must(err)
	old := filepath.Join(t.TempDir(), "root.key")
	s.must(os.WriteFile(old, file, 0o600))
	root, err := seal.OpenRootFile(old, seal.Value{})
	s.must(err)
	replica := seal.NewSealer(root, store.For[seal.Tx]{DB: s.db}, now)

	s.must(s.root.Rotate(t.Context(), epoch))
	_, err = seal.NewSealer(s.root, store.For[seal.Tx]{DB: s.db}, now).Rewrap(t.Context())
	s.must(err)
	s.must(s.root.Retire(t.Context()))
	before := len(s.dataKeys())
	if _, err := replica.Seal(t.Context(), s.place(1), seal.NewValue([]byte("plain"))); !errors.Is(err, seal.ErrRootKey) || !fault.Is(err, fault.Unavailable) || len(s.dataKeys()) != before {
		t.Fatalf("%v, %d data keys of %d", err, len(s.dataKeys()), before)
	}
	file, err = os.ReadFile(s.path)
	s.must(err)
	s.must(os.WriteFile(old, file, 0o600))
	b, err := replica.Seal(t.Context(), s.place(1), seal.NewValue([]byte("plain")))
	s.must(err)
	s.opens(s.sealer(), s.place(1), b, "plain")
}

// slowDB lets something else happen before a transaction begins.
type slowDB struct {
	object.DB[seal.Tx]
	before *func()
}

func (d slowDB) Update(ctx context.Context, fn func(seal.Tx) error) error {
	if f := *d.before; f != nil {
		f()
	}
	return d.DB.Update(ctx, fn)
}

func TestForgottenKeysAreReadAgain(t *testing.T) {
	s := newSafe(t)
	k := s.sealer()
	b, err := k.Seal(t.Context(), s.place(0), seal.NewValue([]byte("plain")))
	s.must(err)
	k.Forget(s.vaults[0])
	s.opens(k, s.place(0), b, "plain")
	s.must(s.db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteVault(t.Context(), s.vaults[0]) }))
	k.Forget(s.vaults[0])
	if _, err := k.Open(t.Context(), s.place(0), b); !errors.Is(err, seal.ErrBox) {
		t.Errorf("after the vault is gone: %v", err)
	}
}

// Whoever has the database files has nothing but boxes.
func TestDatabaseFilesShowNothing(t *testing.T) {
	s := newSafe(t)
	k := s.sealer()
	b, err := k.Seal(t.Context(), s.place(0), seal.NewValue([]byte("a very secret value")))
	s.must(err)
	s.must(s.db.Update(t.Context(), func(tx *store.Tx) error {
		// Any private column will do.
		row := seal.DataKey{Scope: string(s.vaults[1]), ID: "0011223344556677", Wrapped: b}
		return tx.InsertDataKey(t.Context(), row)
	}))
	found := false
	s.must(filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte("very secret")) {
			t.Errorf("%s shows it", path)
		}
		found = found || bytes.Contains(raw, b)
		return err
	}))
	if !found {
		t.Error("the box itself was not found: the test looks in the wrong place")
	}
}

// slowKeeper takes its time for each answer, as a machine elsewhere does.
type slowKeeper struct {
	seal.Keeper
	asked, answer chan struct{}
}

func (k *slowKeeper) wait() {
	k.asked <- struct{}{}
	<-k.answer
}

func (k *slowKeeper) Wrap(ctx context.Context, scope, keyID string, dataKey seal.Value) (string, []byte, error) {
	k.wait()
	return k.Keeper.Wrap(ctx, scope, keyID, dataKey)
}

func (k *slowKeeper) Unwrap(ctx context.Context, d seal.DataKey) (seal.Value, error) {
	k.wait()
	return k.Keeper.Unwrap(ctx, d)
}

// Others write while the keeper of the root key makes a vault's first seal, or a
// rotation, wait.
func TestASlowKeeperKeepsNobodyFromWriting(t *testing.T) {
	for _, c := range []struct {
		claim string
		do    func(s *safe, k *seal.Sealer) error
	}{
		{"a first seal", func(s *safe, k *seal.Sealer) error {
			_, err := k.Seal(t.Context(), s.place(1), seal.NewValue([]byte("plain")))
			return err
		}},
		{"a successor", func(s *safe, k *seal.Sealer) error {
			_, err := k.Replace(t.Context(), s.dataKeys()[0])
			return err
		}},
		{"a rotation", func(_ *safe, k *seal.Sealer) error {
			_, err := k.Rewrap(t.Context())
			return err
		}},
	} {
		s := newSafe(t)
		fast := s.sealer()
		_, err := fast.Seal(t.Context(), s.place(0), seal.NewValue([]byte("plain")))
		s.must(err)
		keeper := &slowKeeper{s.root, make(chan struct{}), make(chan struct{})}
		ended := make(chan error, 1)
		go func() { ended <- c.do(s, seal.NewSealer(keeper, store.For[seal.Tx]{DB: s.db}, now)) }()
		questions := 0
		for running := true; running; {
			select {
			case <-keeper.asked:
				questions++
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				v := &vault.Vault{ID: object.NewVaultID(), Name: fmt.Sprintf("other%d", questions), Revision: 1}
				if err := s.db.Update(ctx, func(tx *store.Tx) error { return tx.InsertVault(ctx, v) }); err != nil {
					t.Errorf("%s stops the writes of others, at question %d: %v", c.claim, questions, err)
				}
				cancel()
				keeper.answer <- struct{}{}
			case err := <-ended:
				s.must(err)
				running = false
			}
		}
		if questions < 2 {
			t.Errorf("%s: %d questions", c.claim, questions)
		}
	}
}

// A vault's first use in the middle of a rewrap: its key is rewrapped too.
func TestRewrapTakesAlongWhatIsMadeMeanwhile(t *testing.T) {
	s := newSafe(t)
	_, err := s.sealer().Seal(t.Context(), s.place(0), seal.NewValue([]byte("plain")))
	s.must(err)
	var box seal.Box
	var meanwhile func()
	k := seal.NewSealer(s.root, slowDB{store.For[seal.Tx]{DB: s.db}, &meanwhile}, now)
	other := s.sealer()
	s.must(s.root.Rotate(t.Context(), epoch))
	meanwhile = func() {
		meanwhile = nil
		box, err = other.Seal(t.Context(), s.place(1), seal.NewValue([]byte("plain")))
		s.must(err)
	}
	if n, err := k.Rewrap(t.Context()); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	s.must(s.root.Retire(t.Context()))
	s.opens(s.sealer(), s.place(1), box, "plain")
}
