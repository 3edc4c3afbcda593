package storetest

import (
	"encoding/json"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/store"
)

// messages come back as written, and stay as long as a job is about them.
func messages(s *suite) {
	v := s.vault("one")
	m := outbox.Message{ID: "m1", Vault: v, Topic: outbox.KeyNearExpiry, Data: json.RawMessage(`{"EXP":1,"x":"\u0000"}`),
		Subject: outbox.Subject{Family: object.Keys, Name: web, Version: versionID(1)}, Created: epoch.Add(7 * time.Millisecond)}
	deliver := func(id string) jobs.Job {
		return jobs.Job{ID: id, Kind: outbox.DeliverJob, Vault: v, Name: web.Key(), Ref: m.ID, Due: epoch}
	}
	found := func(want bool) {
		s.Helper()
		s.view(func(tx *store.Tx) {
			got, err := tx.Message(s.ctx, m.ID)
			if !want {
				s.wantErr(err, object.ErrNotFound)
				return
			}
			same(s, got, err, m)
			all, err := tx.Messages(s.ctx)
			same(s, all, err, []outbox.Message{m})
		})
	}
	found(false)
	s.update(func(tx *store.Tx) {
		long := m
		long.Data = make([]byte, outbox.MaxData+1)
		if tx.InsertMessage(s.ctx, long) == nil {
			s.Error("long data were stored")
		}
		s.must(tx.InsertMessage(s.ctx, m))
		s.wantErr(tx.InsertMessage(s.ctx, m), object.ErrExists)
		s.must(tx.EnqueueJob(s.ctx, deliver("a")))
		s.must(tx.EnqueueJob(s.ctx, deliver("b")))
	})
	found(true)
	for _, id := range []string{"a", "b"} {
		s.update(func(tx *store.Tx) {
			s.must(tx.DeleteMessage(s.ctx, m.ID)) // a job is about it still
		})
		found(true)
		s.update(func(tx *store.Tx) {
			s.must(tx.CompleteJob(s.ctx, deliver(id)))
			s.must(tx.DeleteMessage(s.ctx, m.ID))
		})
	}
	found(false)

	// It goes with its vault.
	s.update(func(tx *store.Tx) {
		s.must(tx.InsertMessage(s.ctx, m))
		s.must(tx.DeleteVault(s.ctx, v))
	})
	found(false)
	gone := s.db.Update(s.ctx, func(tx *store.Tx) error { return tx.InsertMessage(s.ctx, m) })
	s.wantErr(gone, object.ErrNotFound)
}
