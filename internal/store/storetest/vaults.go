package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/vault"
)

func vaults(s *suite) {
	full := &vault.Vault{
		ID: object.NewVaultID(), Name: "Web-Vault", TenantID: "t", Subscription: "s", ResourceGroup: "r", Location: "l",
		SKU: vault.Premium, RBAC: true,
		AccessPolicies: []vault.AccessPolicy{{TenantID: "t", ObjectID: "o", ApplicationID: "a",
			Certificates: []string{"get"}, Keys: []string{}, Secrets: nil, Storage: []string{"x"}}},
		RetentionDays: 7, PurgeProtection: true,
		Network: vault.NetworkRules{PublicAccessDisabled: true, DefaultDeny: true, IPRules: []string{"10.0.0.0/8"}, BypassNone: true},
		Tags:    map[string]string{"a": "b\x00"}, Created: epoch, Updated: epoch.Add(time.Minute), Revision: 1,
	}
	bare := newVault(object.NewVaultID(), "a")
	s.update(func(tx *store.Tx) {
		_, err := tx.Vault(s.ctx, "web-vault")
		s.wantErr(err, object.ErrNotFound)
		s.must(tx.InsertVault(s.ctx, full))
		s.must(tx.InsertVault(s.ctx, bare))
		s.wantErr(tx.InsertVault(s.ctx, newVault(object.NewVaultID(), "WEB-vault")), object.ErrExists)
		s.wantErr(tx.InsertVault(s.ctx, newVault(bare.ID, "b")), object.ErrExists)
	})
	s.view(func(tx *store.Tx) {
		got, err := tx.Vault(s.ctx, "web-vault")
		same(s, got, err, full)
		got, err = tx.VaultByID(s.ctx, full.ID)
		same(s, got, err, full)
		_, err = tx.VaultByID(s.ctx, object.NewVaultID())
		s.wantErr(err, object.ErrNotFound)
		_, err = tx.Vault(s.ctx, "Web-Vault") // not the canonical name
		s.wantErr(err, object.ErrNotFound)
		list, err := tx.Vaults(s.ctx)
		same(s, list, err, []*vault.Vault{bare, full})
	})
	s.update(func(tx *store.Tx) {
		changed := *full
		changed.RBAC, changed.Revision = false, 2
		s.must(tx.UpdateVault(s.ctx, &changed))
		s.wantErr(tx.UpdateVault(s.ctx, &changed), object.ErrChanged)
		got, err := tx.VaultByID(s.ctx, full.ID)
		same(s, got, err, &changed)
		s.wantErr(tx.UpdateVault(s.ctx, newVault(object.NewVaultID(), "none")), object.ErrChanged)
		s.must(tx.DeleteVault(s.ctx, full.ID))
		s.must(tx.DeleteVault(s.ctx, full.ID))
		_, err = tx.VaultByID(s.ctx, full.ID)
		s.wantErr(err, object.ErrNotFound)
		s.must(tx.InsertVault(s.ctx, newVault(object.NewVaultID(), "web-vault"))) // the name is free again
	})
}

// fill puts something of every kind into a vault.
func (s *suite) fill(v object.VaultID, id int) {
	s.update(func(tx *store.Tx) {
		s.must(issued(s.ctx, tx, v, web, id))
		s.must(begin(s.ctx, tx, v, other, id+1))
		s.must(tx.SetContacts(s.ctx, v, []certificate.Contact{{Email: fmt.Sprint(id)}}))
		s.must(tx.PutIssuer(s.ctx, &certificate.Issuer{Vault: v, Name: web, Provider: fmt.Sprint(id), Created: epoch, Updated: epoch}))
	})
}

// state is everything of one vault.
type state struct {
	Vault    *vault.Vault
	Names    map[string]whole
	Contacts []certificate.Contact
	Issuers  []*certificate.Issuer
	DataKeys []seal.DataKey
	Jobs     []jobs.Job
}

// state reads everything of a vault; the zero state when there is none.
func (s *suite) state(db *store.DB, v object.VaultID) (st state) {
	s.Helper()
	s.must(db.View(s.ctx, func(tx *store.Tx) (err error) {
		st = state{Names: map[string]whole{}}
		if st.Vault, err = absent(tx.VaultByID(s.ctx, v)); err != nil {
			return err
		}
		for _, deleted := range []bool{false, true} {
			q := certificate.ListQuery{Page: object.Page{Limit: 1000}, Deleted: deleted, Pending: true}
			list, err := tx.Certificates(s.ctx, v, q)
			if err != nil {
				return err
			}
			for _, l := range list {
				if st.Names[l.Head.Name.Key()], err = read(s.ctx, tx, v, l.Head.Name); err != nil {
					return err
				}
			}
		}
		if st.Contacts, err = absent(tx.Contacts(s.ctx, v)); err != nil {
			return err
		}
		if st.Issuers, err = tx.Issuers(s.ctx, v, object.Page{Limit: 1000}); err != nil {
			return err
		}
		if st.DataKeys, err = tx.DataKeys(s.ctx, string(v)); err != nil {
			return err
		}
		st.Jobs, err = tx.Jobs(s.ctx)
		st.Jobs = slices.DeleteFunc(st.Jobs, func(j jobs.Job) bool { return j.Vault != v })
		return err
	}))
	return st
}

// absent makes of object.ErrNotFound the zero value.
func absent[T any](v T, err error) (T, error) {
	if err == object.ErrNotFound {
		var zero T
		return zero, nil
	}
	return v, err
}

func equal(a, b state) bool { return reflect.DeepEqual(a, b) }

// isolation: the same names in two vaults are two things.
func isolation(s *suite) {
	a, b := s.vault("one"), s.vault("two")
	s.fill(a, 1)
	s.fill(b, 5)
	before := s.state(s.db, b)
	s.update(func(tx *store.Tx) {
		s.must(remove(s.ctx, tx, a, web, &object.Deletion{At: epoch, PurgeAt: epoch}))
		s.must(tx.DeleteContacts(s.ctx, a))
		s.must(tx.DeleteIssuer(s.ctx, a, web))
		s.must(tx.DeleteOperation(s.ctx, a, other))
		s.must(tx.DeleteJobs(s.ctx, "issue", a, string(versionID(6)))) // the ref of b's job
		s.must(purge(s.ctx, tx, a, other))
	})
	if !equal(before, s.state(s.db, b)) {
		s.Error("a change in one vault reached another")
	}
	// What one vault has is not found under another's id.
	s.view(func(tx *store.Tx) {
		_, err := tx.CertificateVersion(s.ctx, a, web, before.Names["web-1"].cert.Head.Current)
		s.wantErr(err, object.ErrNotFound)
	})
}

func cascade(s *suite) {
	a, b := s.vault("one"), s.vault("two")
	s.fill(a, 1)
	s.fill(b, 5)
	before := s.state(s.db, b)
	s.update(func(tx *store.Tx) { s.must(tx.DeleteVault(s.ctx, a)) })
	if !equal(s.state(s.db, a), state{Names: map[string]whole{}, Jobs: []jobs.Job{}}) {
		s.Errorf("the vault left %+v", s.state(s.db, a))
	}
	if !equal(before, s.state(s.db, b)) {
		s.Error("deleting a vault reached another")
	}
	s.view(func(tx *store.Tx) {
		_, err := tx.KeyHead(s.ctx, a, web)
		s.wantErr(err, object.ErrNotFound)
		_, err = tx.SecretVersion(s.ctx, a, web, versionID(1_000_001))
		s.wantErr(err, object.ErrNotFound)
	})
}

// owners: rows that hang on nothing are refused.
func owners(s *suite) {
	v := s.vault("one")
	gone := object.NewVaultID()
	for what, write := range map[string]func(tx *store.Tx) error{
		"certificate": func(tx *store.Tx) error {
			return tx.InsertCertificate(s.ctx, &certificate.Certificate{Head: object.Head{Vault: gone, Name: web}, Policy: policy()})
		},
		"key":                 func(tx *store.Tx) error { return tx.InsertKey(s.ctx, object.Head{Vault: gone, Name: web}) },
		"secret":              func(tx *store.Tx) error { return tx.InsertSecret(s.ctx, object.Head{Vault: gone, Name: web}) },
		"certificate version": func(tx *store.Tx) error { return tx.InsertVersion(s.ctx, newCertificate(v, web, versionID(1))) },
		"key version":         func(tx *store.Tx) error { return tx.InsertKeyVersion(s.ctx, newKey(v, web, versionID(1))) },
		"secret version":      func(tx *store.Tx) error { return tx.InsertSecretVersion(s.ctx, newSecret(v, web, versionID(1))) },
		"operation":           func(tx *store.Tx) error { return tx.PutOperation(s.ctx, newOperation(v, web, "r")) },
		"contacts":            func(tx *store.Tx) error { return tx.SetContacts(s.ctx, gone, nil) },
		"issuer":              func(tx *store.Tx) error { return tx.PutIssuer(s.ctx, &certificate.Issuer{Vault: gone, Name: web}) },
		"data key": func(tx *store.Tx) error {
			return tx.InsertDataKey(s.ctx, seal.DataKey{Scope: "x", Wrapped: []byte("w")})
		},
		"job": func(tx *store.Tx) error { return tx.EnqueueJob(s.ctx, jobs.Job{ID: "1", Vault: gone}) },
	} {
		err := s.db.Update(s.ctx, func(tx *store.Tx) error {
			_ = write(tx) // what it answers is lost, and the transaction all the same
			return nil
		})
		if err == nil {
			s.Errorf("%s: stored without its owner", what)
		} else {
			s.wantErr(err, object.ErrNotFound)
		}
	}
	for _, err := range CheckVault(s.ctx, s.db) {
		s.Error(err)
	}
}

func contactsAndIssuers(s *suite) {
	v := s.vault("one")
	name, empty := "Ä\x00", ""
	s.update(func(tx *store.Tx) {
		_, err := tx.Contacts(s.ctx, v)
		s.wantErr(err, object.ErrNotFound)
		for _, want := range [][]certificate.Contact{{{Email: "a@b", Name: &name, Phone: &empty}, {Email: "c@d"}}, {}} {
			s.must(tx.SetContacts(s.ctx, v, want))
			got, err := tx.Contacts(s.ctx, v)
			same(s, got, err, want)
		}
		s.must(tx.DeleteContacts(s.ctx, v))
		s.must(tx.DeleteContacts(s.ctx, v))
		_, err = tx.Contacts(s.ctx, v)
		s.wantErr(err, object.ErrNotFound)
	})

	full := &certificate.Issuer{Vault: v, Name: web, Provider: "DigiCert", AccountID: &name, Password: Box("box"),
		OrganizationID: &empty, Admins: []issuance.Admin{{FirstName: &name}, {}}, Enabled: true, Created: epoch, Updated: epoch.Add(time.Hour)}
	bare := &certificate.Issuer{Vault: v, Name: other, Provider: "", Created: epoch, Updated: epoch}
	noAdmins := &certificate.Issuer{Vault: v, Name: object.MustName("z"), Admins: []issuance.Admin{}, Created: epoch, Updated: epoch}
	s.update(func(tx *store.Tx) {
		_, err := tx.Issuer(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
		for _, want := range []*certificate.Issuer{full, bare, noAdmins} {
			s.must(tx.PutIssuer(s.ctx, want))
			got, err := tx.Issuer(s.ctx, v, object.MustName(want.Name.Key()))
			same(s, got, err, want)
		}
		list, err := tx.Issuers(s.ctx, v, object.Page{Limit: 2})
		same(s, list, err, []*certificate.Issuer{bare, full})
		list, err = tx.Issuers(s.ctx, v, object.Page{Limit: 2, After: "web-1"})
		same(s, list, err, []*certificate.Issuer{noAdmins})

		again := *bare
		again.Name, again.Created = object.MustName("WEB-1"), epoch.Add(time.Hour)
		s.must(tx.PutIssuer(s.ctx, &again)) // replaces the whole of full
		got, err := tx.Issuer(s.ctx, v, web)
		same(s, got, err, &again)
		s.must(tx.DeleteIssuer(s.ctx, v, web))
		s.must(tx.DeleteIssuer(s.ctx, v, web))
		_, err = tx.Issuer(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
	})
}

func dataKeys(s *suite) {
	v := object.NewVaultID()
	s.update(func(tx *store.Tx) { s.must(tx.InsertVault(s.ctx, newVault(v, "one"))) })
	ofVault := seal.DataKey{Scope: string(v), ID: "00", RootID: "r1", Wrapped: []byte{1, 2}, Created: epoch}
	ofAll := seal.DataKey{Scope: seal.Installation, ID: "00", RootID: "r1", Wrapped: []byte{3}, Created: epoch.Add(time.Hour)}
	s.update(func(tx *store.Tx) {
		s.must(tx.InsertDataKey(s.ctx, ofVault))
		s.must(tx.InsertDataKey(s.ctx, ofAll))
		s.wantErr(tx.InsertDataKey(s.ctx, ofVault), object.ErrExists)
		first := ofVault
		first.ID = "11"
		s.wantErr(tx.InsertDataKey(s.ctx, first), object.ErrExists)
	})
	s.update(func(tx *store.Tx) {
		got, err := tx.DataKeys(s.ctx, string(v))
		same(s, got, err, []seal.DataKey{ofVault})
		got, err = tx.DataKeys(s.ctx, "none")
		same(s, got, err, nil)
		ofVault.RootID, ofVault.Wrapped = "r2", []byte{9}
		s.must(tx.RewrapDataKey(s.ctx, ofVault))
		s.wantErr(tx.RewrapDataKey(s.ctx, seal.DataKey{Scope: "none", ID: "00", Wrapped: []byte{1}}), object.ErrNotFound)
		got, err = tx.DataKeys(s.ctx, "")
		same(s, len(got), err, 2)
		got, err = tx.DataKeys(s.ctx, string(v))
		same(s, got, err, []seal.DataKey{ofVault})
		got, err = tx.DataKeys(s.ctx, seal.Installation)
		same(s, got, err, []seal.DataKey{ofAll})
	})
}

func assignments(s *suite) {
	a := access.Assignment{ID: "2", Scope: "/Subscriptions/A", RoleID: "r", PrincipalID: "p", Condition: "(@x\x00)"}
	b := access.Assignment{ID: "1", Scope: "/", RoleID: "r", PrincipalID: "p"}
	s.update(func(tx *store.Tx) {
		s.must(tx.InsertAssignment(s.ctx, a))
		s.must(tx.InsertAssignment(s.ctx, b))
		for _, taken := range []access.Assignment{
			{ID: "2", Scope: "/else", RoleID: "x", PrincipalID: "y"},
			{ID: "3", Scope: "/subscriptions/a", RoleID: "r", PrincipalID: "p"},
		} {
			s.wantErr(tx.InsertAssignment(s.ctx, taken), object.ErrExists)
		}
		c := access.Assignment{ID: "3", Scope: "/subscriptions/a", RoleID: "r", PrincipalID: "q"}
		s.must(tx.InsertAssignment(s.ctx, c))
		list, err := tx.Assignments(s.ctx)
		same(s, list, err, []access.Assignment{b, a, c})
		s.must(tx.DeleteAssignment(s.ctx, "2"))
		s.wantErr(tx.DeleteAssignment(s.ctx, "2"), object.ErrNotFound)
		list, err = tx.Assignments(s.ctx)
		same(s, list, err, []access.Assignment{b, c})
	})
}
