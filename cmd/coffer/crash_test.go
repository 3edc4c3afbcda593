package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"

	"coffer/internal/store"
)

// Sizes of the load: changes that are answered before the process is killed,
// workers, and rounds on one folder.
const (
	changes = 150
	workers = 12
	rounds  = 3
)

// TestKilledVaultKeepsWhatItAnswered kills the process in the middle of creates,
// imports, merges, deletes and purges, again and again on one folder.
func TestKilledVaultKeepsWhatItAnswered(t *testing.T) {
	for _, db := range databases() {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			env, args := db.at(t)
			f := newFolder(t, env, args...)
			ca := newOutsideCA(t)
			var all []*load
			var acked []string
			p := f.start()
			for round := range rounds {
				l := newLoad(p, ca, changes)
				l.mayRefuse = f.database().Driver == store.Postgres
				all = append(all, l)
				wg := l.run(t.Context(), round, workers)
				<-l.enough
				l.over()
				p.kill()
				wg.Wait()
				acked = append(acked, l.acked...)

				f.checkVault()
				f.endLeases()
				p = f.start()
				l.check(p)
			}
			for _, l := range all { // what an earlier round left is there still
				l.check(p)
			}
			p.stop(syscall.SIGTERM)
			f.checkVault()
			f.checkRecords(acked)
		})
	}
}

// changing are the operations of the load.
var changing = map[string]bool{"CertificateCreate": true, "CertificateImport": true, "CertificateDelete": true,
	"CertificatePurge": true, "CertificatePendingMerge": true}

// TestStoppedVaultAnswersWhatItAccepted stops the process under load: whatever
// it has begun to answer it answers, and it ends well.
func TestStoppedVaultAnswersWhatItAccepted(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			f := newFolder(t, nil)
			p := f.start()
			l := newLoad(p, newOutsideCA(t), changes)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			wg := l.run(ctx, 0, workers)
			<-l.enough
			l.over()
			p.stop(sig)
			stop()
			wg.Wait()
			f.checkVault()
			f.checkRecords(l.acked)
			for _, r := range f.records() {
				if changing[r.Operation] && r.Result == "Success" && !slices.Contains(l.acked, r.Properties.RequestID) {
					t.Errorf("%s was done, and the answer to request %s did not come", r.Operation, r.Properties.RequestID)
				}
			}
			p = f.start()
			l.check(p)
			p.stop(sig)
		})
	}
}

// endLeases lets the time pass that a dead process holds its jobs. With SQLite
// the next start does so by itself: no other process can hold one.
func (f *folder) endLeases() {
	f.t.Helper()
	if f.database().Driver == store.SQLite {
		return
	}
	db, err := store.Open(f.t.Context(), f.database())
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(f.t.Context(), func(tx *store.Tx) error {
		list, err := tx.Jobs(f.t.Context())
		for _, j := range list {
			err = errors.Join(err, tx.PostponeJob(f.t.Context(), j, j.Due))
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}
