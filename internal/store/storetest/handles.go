package storetest

import (
	"slices"

	"coffer/internal/hsm"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/store"
)

// handles: the keys in the HSM are found by the name and the vault that hold
// them, and by their id; what destroys them outlives the vault.
func handles(s *suite) {
	v, next := s.vault("one"), s.vault("two")
	old, shared, pending, elsewhere := hsm.ID{1}, hsm.ID{2}, hsm.ID{3}, hsm.ID{4}
	s.update(func(tx *store.Tx) {
		for vault, ids := range map[object.VaultID][]hsm.ID{v: {old, shared, {}}, next: {elsewhere}} {
			s.must(issued(s.ctx, tx, vault, web, 1))
			for i, id := range ids {
				k := newKey(vault, web, versionID(i+1))
				k.HSM = id
				s.must(tx.InsertKeyVersion(s.ctx, k))
			}
		}
		for _, n := range []object.Name{web, other} {
			op := newOperation(v, n, string(versionID(7)))
			if op.HSM = shared; n == other {
				s.must(issued(s.ctx, tx, v, n, 4))
				op.HSM = pending
			}
			s.must(tx.PutOperation(s.ctx, op))
		}
	})
	held := func(tx *store.Tx, v object.VaultID, n object.Name, want ...hsm.ID) {
		s.Helper()
		got, err := tx.HSMKeys(s.ctx, v, n)
		s.must(err)
		if !slices.Equal(got, want) {
			s.Errorf("%s of %s holds %v, want %v", n, v, got, want)
		}
	}
	used := func(tx *store.Tx, id hsm.ID, want bool) {
		s.Helper()
		got, err := tx.HSMKeyInUse(s.ctx, id)
		s.must(err)
		if got != want {
			s.Errorf("%s is in use: %t", id, got)
		}
	}
	s.view(func(tx *store.Tx) {
		held(tx, v, object.MustName("WEB-1"), old, shared)
		held(tx, v, other, pending)
		held(tx, v, object.Name{}, old, shared, pending)
		held(tx, next, object.Name{}, elsewhere)
		held(tx, v, object.MustName("nobody"))
		for _, id := range []hsm.ID{old, shared, pending, elsewhere} {
			used(tx, id, true)
		}
		used(tx, hsm.ID{5}, false)
	})
	s.update(func(tx *store.Tx) {
		s.must(tx.PurgeKey(s.ctx, v, web))
		used(tx, old, false)
		used(tx, shared, true) // by the operation
		s.must(tx.DeleteOperation(s.ctx, v, web))
		used(tx, shared, false)
		s.must(tx.DeleteVault(s.ctx, v))
		used(tx, pending, false)
	})
	s.view(func(tx *store.Tx) {
		list, err := tx.Jobs(s.ctx)
		s.must(err)
		var refs []string
		for _, j := range list {
			if j.Kind == key.DestroyJob {
				refs = append(refs, j.Ref)
			}
		}
		if !slices.Equal(refs, []string{pending.String()}) {
			s.Errorf("the jobs of a vault that is gone are to destroy %v", refs)
		}
	})
}
