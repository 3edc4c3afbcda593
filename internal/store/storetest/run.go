package storetest

import (
	"errors"
	"testing"

	"coffer/internal/authn/authntest"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// Run is the conformance suite: what each transaction promises, isolation, and
// what injected failures and a killed process leave. place makes a new, empty
// place for a database each time.
//
// The suite runs its own test binary again as the process that is killed: the
// package's TestMain must call Child first.
func Run(t *testing.T, place func(testing.TB) store.Config) {
	for _, c := range []struct {
		claim string
		run   func(*suite)
	}{
		{"certificates come back as written", certificates},
		{"certificate versions come back as written", versions},
		{"certificates are listed by name", certificateLists},
		{"pages survive inserts and deletes", paging},
		{"due purges are listed", duePurges},
		{"operations come back as written", operations},
		{"keys come back as written", keys},
		{"keys in the HSM are known by their id", handles},
		{"secrets come back as written", secrets},
		{"secrets of their own are deleted by themselves", ownSecrets},
		{"keys of their own are deleted by themselves, and rotate", ownKeyRows},
		{"contacts and issuers come back as written", contactsAndIssuers},
		{"data keys come back as written", dataKeys},
		{"boxes are found by their key", sealedBoxes},
		{"data keys end when no box of theirs is left", dataKeysEnd},
		{"closing a data key waits for those who store its boxes", closingWaits},
		{"vaults come back as written", vaults},
		{"vaults do not see one another", isolation},
		{"a vault takes everything along", cascade},
		{"heads of audit logs come back as kept", auditHeads},
		{"role assignments are unique", assignments},
		{"commits are counted by what they touch", areas},
		{"replicas see what others have changed in time", replicas},
		{"jobs are leased", leases},
		{"failures of jobs are kept", failedJobs},
		{"jobs are hastened", hastenedJobs},
		{"leases of the dead are freed", freedLeases},
		{"leases have one clock", jobClock},
		{"claimers share the work", claimers},
		{"messages stay until they are told", messages},
		{"a view sees one state", snapshot},
		{"a view writes nothing", readOnly},
		{"a failing update leaves nothing and harms no other", neighbours},
		{"updates see one another", counter},
		{"rules over several rows hold for two at one time", overRows},
		{"a panic stays with its caller", panics},
		{"a cancelled caller changes nothing", cancelled},
		{"a closed database says so", closed},
		{"rows without an owner are not stored", owners},
		{"rows that somebody else has edited are not used", editedRows},
		{"the check sees what is corrupt", corruptions},
		{"the check sees what is corrupt of keys", keyCorruptions},
		{"every failed write leaves all or nothing", failures},
		{"a killed process leaves all or nothing", killed},
	} {
		t.Run(c.claim, func(t *testing.T) {
			t.Parallel()
			c.run(newSuite(t, place(t)))
		})
	}
	t.Run("the directory", func(t *testing.T) {
		authntest.TestDB(t, func(t *testing.T) object.DB[authntest.Tx] {
			db := Open(t, place(t))
			err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertDataKey(t.Context(), DataKey(seal.Installation)) })
			if err != nil {
				t.Fatal(err)
			}
			return store.For[authntest.Tx]{DB: db}
		})
	})
}

// closed: after Close every transaction answers ErrClosed, and closing again is
// no error.
func closed(s *suite) {
	s.must(s.db.Ping(s.ctx))
	s.must(s.db.Close())
	s.must(s.db.Close())
	nothing := func(*store.Tx) error { return errors.New("it ran") }
	s.wantErr(s.db.View(s.ctx, nothing), store.ErrClosed)
	s.wantErr(s.db.Update(s.ctx, nothing), store.ErrClosed)
	s.wantErr(s.db.Ping(s.ctx), store.ErrClosed)
}

var (
	web   = object.MustName("Web-1")
	other = object.MustName("api")
)
