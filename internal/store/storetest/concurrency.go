package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"coffer/internal/object"
	"coffer/internal/store"
)

// snapshot: what a view has begun to read does not change under it.
func snapshot(s *suite) {
	v := s.vault("one")
	read := func(tx *store.Tx) int64 {
		got, err := tx.VaultByID(s.ctx, v)
		s.must(err)
		return got.Revision
	}
	s.view(func(tx *store.Tx) {
		before := read(tx)
		s.raise(v)
		if after := read(tx); after != before {
			s.Errorf("one view saw revisions %d and %d", before, after)
		}
	})
	s.view(func(tx *store.Tx) {
		if got := read(tx); got != 2 {
			s.Errorf("a view after the update saw revision %d", got)
		}
	})
}

// raise adds one to the revision of a vault.
func (s *suite) raise(v object.VaultID) {
	s.Helper()
	err := s.db.Update(s.ctx, func(tx *store.Tx) error {
		got, err := tx.VaultByID(s.ctx, v)
		if err != nil {
			return err
		}
		got.Revision++
		return tx.UpdateVault(s.ctx, got)
	})
	if err != nil {
		s.Error(err)
	}
}

func readOnly(s *suite) {
	err := s.db.View(s.ctx, func(tx *store.Tx) error {
		return tx.InsertVault(s.ctx, newVault(object.NewVaultID(), "one"))
	})
	if err == nil {
		s.Error("a view wrote")
	}
	var kept *store.Tx
	s.view(func(tx *store.Tx) { kept = tx })
	if _, err := kept.Vaults(s.ctx); err == nil {
		s.Error("a transaction reads after its end")
	}
	s.view(func(tx *store.Tx) {
		list, err := tx.Vaults(s.ctx)
		same(s, list, err, nil)
	})
}

// neighbours: of updates that run at the same time, every third fails after it
// wrote.
func neighbours(s *suite) {
	v := s.vault("one")
	deliberate := errors.New("deliberate")
	const writers, each = 8, 6
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				n := object.MustName(fmt.Sprintf("n-%d-%d", w, i))
				fails := (w+i)%3 == 0
				err := s.db.Update(s.ctx, func(tx *store.Tx) error {
					if err := issued(s.ctx, tx, v, n, 100*w+i); err != nil {
						return err
					}
					if fails {
						return deliberate
					}
					return nil
				})
				if fails != errors.Is(err, deliberate) || !fails && err != nil {
					s.Errorf("%s: got error %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	st := s.state(s.db, v)
	for w := range writers {
		for i := range each {
			n := fmt.Sprintf("n-%d-%d", w, i)
			if _, ok := st.Names[n]; ok == ((w+i)%3 == 0) {
				s.Errorf("%s is there: %v", n, ok)
			}
		}
	}
	for _, err := range CheckVault(s.ctx, s.db) {
		s.Error(err)
	}
}

// counter: reading and writing back in one update loses nothing.
func counter(s *suite) {
	v := s.vault("one")
	const writers, each = 6, 8
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				s.raise(v)
			}
		})
	}
	wg.Wait()
	if got := s.state(s.db, v).Vault.Revision; got != 1+writers*each {
		s.Errorf("after %d updates the revision is %d", writers*each, got)
	}
}

func panics(s *suite) {
	insert := func(tx *store.Tx) {
		s.must(tx.InsertVault(s.ctx, newVault(object.NewVaultID(), "one")))
	}
	func() {
		defer func() {
			if got := recover(); got != "deliberate" {
				s.Errorf("the caller recovered %v", got)
			}
		}()
		_ = s.db.Update(s.ctx, func(tx *store.Tx) error { insert(tx); panic("deliberate") })
	}()
	func() {
		defer func() { _ = recover() }()
		_ = s.db.View(s.ctx, func(tx *store.Tx) error { panic("deliberate") })
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.db.Update(s.ctx, func(tx *store.Tx) error { insert(tx); runtime.Goexit(); return nil })
	}()
	<-ended
	s.view(func(tx *store.Tx) {
		list, err := tx.Vaults(s.ctx)
		same(s, list, err, nil)
	})
	s.vault("one") // and the writer goes on
}

func cancelled(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	ran := func(*store.Tx) error { return errors.New("it ran") }
	// More than once: where two ways are open, either may be taken.
	for range 20 {
		s.wantErr(s.db.Update(ctx, ran), context.Canceled)
		s.wantErr(s.db.View(ctx, ran), context.Canceled)
	}
}
