package storetest

import (
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/token"
)

// successor is a second key for the boxes of a scope.
func successor(scope string) (seal.DataKey, func(string) seal.Box) {
	const id = "suc-boxs"
	k := DataKey(scope)
	k.ID, k.Created = hex.EncodeToString([]byte(id)), epoch.Add(time.Second)
	return k, func(content string) seal.Box { return seal.Box("\x01" + id + content) }
}

// sealedBoxes: every box is found by the key that sealed it, with the place that its domain
// sealed it to, and is replaced only while it is there.
func sealedBoxes(s *suite) {
	v, apart := s.vault("one"), s.vault("two")
	s.fill(v, 1)
	s.fill(apart, 101)
	op := newOperation(v, other, string(versionID(2)))
	op.Order = Box("order")
	s.update(func(tx *store.Tx) {
		s.must(tx.InsertDataKey(s.ctx, DataKey(seal.Installation)))
		s.must(tx.PutOperation(s.ctx, op))
		s.must(tx.PutIssuer(s.ctx, &certificate.Issuer{Vault: v, Name: web, Provider: "p", Password: Box("password"), Created: epoch, Updated: epoch}))
		s.must(tx.InsertSigningKey(s.ctx, &token.SigningKey{ID: "kid", Private: Box("signing"), Public: []byte{1}, Created: epoch, RetireAt: epoch}))
		for i := range 3 {
			s.must(tx.InsertKeyVersion(s.ctx, newKey(v, web, versionID(10+i))))
		}
	})
	want := map[string][]seal.Place{
		string(v): {
			key.PrivatePlace(v, web, versionID(10)), key.PrivatePlace(v, web, versionID(11)), key.PrivatePlace(v, web, versionID(12)),
			key.PrivatePlace(v, web, versionID(1_000_001)), secret.ValuePlace(v, web, versionID(1_000_001)),
			issuance.PendingPlace(v, other, op.RequestID), issuance.OrderPlace(v, other, op.RequestID),
			{Kind: "issuer", Vault: v, Name: web.Key(), Column: "password"},
		},
		seal.Installation: {{Kind: "signing-key", Name: "kid", Column: "private"}},
		seal.Backups:      nil,
	}
	for scope, places := range want {
		for _, limit := range []int{1, 3, 100} {
			s.view(func(tx *store.Tx) {
				var got []seal.Place
				for after := (seal.Place{}); ; after = got[len(got)-1] {
					list, err := tx.SealedUnder(s.ctx, scope, DataKey("").ID, after, limit)
					s.must(err)
					for _, b := range list {
						got = append(got, b.Place)
						if string(b.Box[:9]) != "\x01"+boxKey {
							s.Errorf("%+v: another box", b.Place)
						}
					}
					if len(list) < limit {
						break
					}
				}
				same(s, got, nil, places)
				for id, n := range map[string]int{DataKey("").ID: len(places), "": len(places), "00": 0} {
					count, err := tx.CountSealed(s.ctx, scope, id)
					same(s, count, err, int64(n))
				}
			})
		}
	}
	next, box := successor(string(v))
	ofAll, _ := successor(seal.Installation)
	s.update(func(tx *store.Tx) {
		for _, k := range []seal.DataKey{next, ofAll} {
			s.must(tx.ReplaceDataKey(s.ctx, k.Scope, DataKey("").ID, epoch))
			s.must(tx.InsertDataKey(s.ctx, k))
		}
		for scope := range want {
			list, err := tx.SealedUnder(s.ctx, scope, DataKey("").ID, seal.Place{}, 100)
			s.must(err)
			for _, b := range list {
				s.must(tx.ReplaceBox(s.ctx, b, box("new")))
				s.wantErr(tx.ReplaceBox(s.ctx, b, box("newer")), object.ErrChanged)
			}
			n, err := tx.CountSealed(s.ctx, scope, next.ID)
			same(s, n, err, int64(len(list)))
		}
		n, err := tx.CountSealed(s.ctx, string(apart), DataKey("").ID)
		same(s, n, err, 3) // of the other vault
	})
}

// dataKeysEnd: the life of a data key from its successor to its end.
func dataKeysEnd(s *suite) {
	v := s.vault("one")
	scope, old := string(v), DataKey("").ID
	next, box := successor(scope)
	s.update(func(tx *store.Tx) {
		s.must(tx.ReserveBoxes(s.ctx, scope, old, 7, 10))
		s.wantErr(tx.ReserveBoxes(s.ctx, scope, old, 4, 10), object.ErrChanged)
		s.wantErr(tx.CloseDataKey(s.ctx, scope, old, epoch), object.ErrChanged) // it is current
		s.wantErr(tx.InsertDataKey(s.ctx, next), object.ErrExists)
		s.must(tx.ReplaceDataKey(s.ctx, scope, old, epoch.Add(time.Minute)))
		s.wantErr(tx.ReplaceDataKey(s.ctx, scope, old, epoch), object.ErrChanged)
		s.wantErr(tx.ReserveBoxes(s.ctx, scope, old, 1, 10), object.ErrChanged)
		next.Kept = true
		s.must(tx.InsertDataKey(s.ctx, next))
		s.wantErr(tx.DestroyDataKey(s.ctx, scope, old), object.ErrChanged) // it is not closed
		s.must(issued(s.ctx, tx, v, web, 1))                               // with boxes of the old one
		s.must(tx.CloseDataKey(s.ctx, scope, old, epoch.Add(time.Hour)))
		s.wantErr(tx.CloseDataKey(s.ctx, scope, old, epoch), object.ErrChanged)
	})
	first := DataKey(scope)
	first.Sealed, first.Replaced, first.Closed = 7, epoch.Add(time.Minute), epoch.Add(time.Hour)
	s.view(func(tx *store.Tx) {
		got, err := tx.DataKeys(s.ctx, scope)
		same(s, got, err, []seal.DataKey{first, next})
	})

	// Nothing stores a box of it any more, but what is there may stay as it is.
	op := newOperation(v, web, "r")
	for what, write := range map[string]func(tx *store.Tx) error{
		"key":       func(tx *store.Tx) error { return tx.InsertKeyVersion(s.ctx, newKey(v, web, versionID(9))) },
		"secret":    func(tx *store.Tx) error { return tx.InsertSecretVersion(s.ctx, newSecret(v, web, versionID(9))) },
		"operation": func(tx *store.Tx) error { return tx.PutOperation(s.ctx, op) },
		"order": func(tx *store.Tx) error {
			o := *op
			o.Private, o.Order = box(""), Box("")
			return tx.PutOperation(s.ctx, &o)
		},
		"issuer": func(tx *store.Tx) error {
			return tx.PutIssuer(s.ctx, &certificate.Issuer{Vault: v, Name: web, Password: Box(""), Created: epoch, Updated: epoch})
		},
		"again": func(tx *store.Tx) error {
			list, err := tx.SealedUnder(s.ctx, scope, old, seal.Place{}, 1)
			s.must(err)
			return tx.ReplaceBox(s.ctx, list[0], Box("other"))
		},
	} {
		err := s.db.Update(s.ctx, write)
		if !errors.Is(err, seal.ErrClosed) || !fault.Is(err, fault.Unavailable) {
			s.Errorf("%s: a box of a closed key is stored: %v", what, err)
		}
	}
	s.update(func(tx *store.Tx) {
		k := newKey(v, web, versionID(1_000_001))
		k.Tags = nil
		s.must(tx.UpdateKeyVersion(s.ctx, k))
		s.wantErr(tx.DestroyDataKey(s.ctx, scope, old), object.ErrChanged) // boxes are left
	})
	s.update(func(tx *store.Tx) {
		list, err := tx.SealedUnder(s.ctx, scope, old, seal.Place{}, 100)
		s.must(err)
		for _, b := range list {
			s.must(tx.ReplaceBox(s.ctx, b, box("")))
		}
		s.must(tx.DestroyDataKey(s.ctx, scope, old))
		s.wantErr(tx.DestroyDataKey(s.ctx, scope, old), object.ErrChanged)
	})

	// A kept one stays until it is released.
	s.update(func(tx *store.Tx) {
		s.must(tx.ReleaseDataKeys(s.ctx)) // not of the current one
		s.must(tx.ReplaceDataKey(s.ctx, scope, next.ID, epoch))
		s.must(tx.CloseDataKey(s.ctx, scope, next.ID, epoch))
		s.must(purge(s.ctx, tx, v, web))
		s.wantErr(tx.DestroyDataKey(s.ctx, scope, next.ID), object.ErrChanged)
		s.must(tx.ReleaseDataKeys(s.ctx))
		s.must(tx.DestroyDataKey(s.ctx, scope, next.ID))
	})
}

// closingWaits: who closes a key waits for those that are storing a box of it, and those
// that began before, and store one after, are refused.
func closingWaits(s *suite) {
	v := s.vault("one")
	scope, old := string(v), DataKey("").ID
	next, _ := successor(scope)
	s.update(func(tx *store.Tx) {
		s.must(tx.ReplaceDataKey(s.ctx, scope, old, epoch))
		s.must(tx.InsertDataKey(s.ctx, next))
		s.must(tx.InsertKey(s.ctx, object.Head{Vault: v, Name: web}))
		s.must(tx.InsertKey(s.ctx, object.Head{Vault: v, Name: other}))
	})
	stored, commit, ended := make(chan bool), make(chan bool), make(chan error)
	go func() {
		ended <- s.db.Update(s.ctx, func(tx *store.Tx) error {
			err := tx.InsertKeyVersion(s.ctx, newKey(v, web, versionID(1)))
			select { // a rerun does not wait
			case stored <- true:
				<-commit
			default:
			}
			return err
		})
	}()
	if !<-stored {
		return
	}
	began, late, lateEnded := make(chan bool, 10), make(chan bool), make(chan error, 1)
	if s.cfg.Driver == store.Postgres { // SQLite has one writer at a time
		go func() {
			lateEnded <- s.db.Update(s.ctx, func(tx *store.Tx) error {
				_, err := tx.DataKeys(s.ctx, "") // its snapshot is of before
				s.must(err)
				began <- true
				<-late
				return tx.InsertKeyVersion(s.ctx, newKey(v, other, versionID(2)))
			})
		}()
		<-began
	}
	closing := make(chan error, 1)
	go func() {
		closing <- s.db.Update(s.ctx, func(tx *store.Tx) error { return tx.CloseDataKey(s.ctx, scope, old, epoch) })
	}()
	select {
	case err := <-closing:
		s.Errorf("closed while a box of it is being stored: %v", err)
		closing <- err
	case <-time.After(300 * time.Millisecond):
	}
	close(commit)
	s.must(<-ended)
	s.must(<-closing)
	if s.cfg.Driver == store.Postgres {
		close(late)
		if err := <-lateEnded; !errors.Is(err, seal.ErrClosed) {
			s.Errorf("a box of a closed key is stored by who began before: %v", err)
		}
	}
	s.view(func(tx *store.Tx) {
		list, err := tx.SealedUnder(s.ctx, scope, old, seal.Place{}, 10)
		s.must(err)
		if !slices.ContainsFunc(list, func(b seal.Stored) bool { return b.Place == key.PrivatePlace(v, web, versionID(1)) }) || len(list) != 1 {
			s.Errorf("stored are %+v", list)
		}
	})
}
