package storetest

import (
	"fmt"
	"sync"
	"time"

	"coffer/internal/access"
	"coffer/internal/directory"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// overRows: what a rule decides by several rows holds for two who decide at one time. Each
// pair reads, waits until the other one has read, and writes a row that the other did not see: of
// the two that would break the rule one must find it broken when it runs again.
func overRows(s *suite) {
	v := s.vault("one")
	s.update(func(tx *store.Tx) {
		s.must(tx.InsertPrincipal(s.ctx, &directory.Principal{ObjectID: someID, AppID: "app", Name: "web", Kind: "application", Enabled: true, Created: epoch}))
		s.must(tx.InsertDataKey(s.ctx, DataKey(seal.Installation)))
	})
	for _, rule := range []struct {
		name  string
		count func(tx *store.Tx) (int, error)
		add   func(tx *store.Tx, i int) error
	}{
		{"one role assignment at most", func(tx *store.Tx) (int, error) {
			all, err := tx.Assignments(s.ctx)
			return len(all), err
		}, func(tx *store.Tx, i int) error {
			return tx.InsertAssignment(s.ctx, access.Assignment{ID: fmt.Sprint("a", i), Scope: fmt.Sprint("/", i), RoleID: "r", PrincipalID: someID})
		}},
		{"one credential at most", func(tx *store.Tx) (int, error) {
			all, err := tx.Credentials(s.ctx, someID)
			return len(all), err
		}, func(tx *store.Tx, i int) error {
			return tx.InsertCredential(s.ctx, &directory.Credential{ID: fmt.Sprint("c", i), ObjectID: someID, Kind: directory.Secret, Hash: []byte{byte(i)}, Created: epoch})
		}},
		{"one group at most", func(tx *store.Tx) (int, error) {
			all, err := tx.GroupsOf(s.ctx, someID)
			return len(all), err
		}, func(tx *store.Tx, i int) error {
			id := fmt.Sprint("group", i)
			if err := tx.InsertPrincipal(s.ctx, &directory.Principal{ObjectID: id, Name: id, Kind: "group", Enabled: true, Created: epoch}); err != nil {
				return err
			}
			return tx.InsertMembership(s.ctx, directory.Membership{GroupID: id, MemberID: someID})
		}},
		{"one version of a key at most", func(tx *store.Tx) (int, error) {
			all, err := tx.KeyVersions(s.ctx, v, object.MustName("web"), object.Page{})
			return len(all), err
		}, func(tx *store.Tx, i int) error {
			return tx.InsertKeyVersion(s.ctx, newKey(v, object.MustName("web"), versionID(i+1)))
		}},
	} {
		if rule.name == "one version of a key at most" {
			s.update(func(tx *store.Tx) { s.must(tx.InsertKey(s.ctx, object.Head{Vault: v, Name: object.MustName("web")})) })
		}
		var both, ended sync.WaitGroup
		both.Add(2)
		for i := range 2 {
			first := true
			ended.Go(func() {
				err := s.db.Update(s.ctx, func(tx *store.Tx) error {
					n, err := rule.count(tx)
					if first {
						first = false
						both.Done()
						together(&both) // one writer at a time reads alone
					}
					if err != nil || n > 0 {
						return err
					}
					return rule.add(tx, i)
				})
				if err != nil {
					s.Errorf("%s: %v", rule.name, err)
				}
			})
		}
		ended.Wait()
		s.view(func(tx *store.Tx) {
			if n, err := rule.count(tx); err != nil || n != 1 {
				s.Errorf("%s: %d, %v", rule.name, n, err)
			}
		})
	}
}

// together waits for all, but not for ever: with SQLite the other one begins when this one
// has ended.
func together(all *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(200 * time.Millisecond):
	}
}
