package storetest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/directory"
	"coffer/internal/hsm"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/token"
)

// raw is the database without the vault: whoever can write to it.
func (s *suite) raw() *sql.DB {
	s.Helper()
	driver, source, off := "sqlite", "file:"+(&url.URL{Path: s.cfg.Path}).EscapedPath(), "PRAGMA foreign_keys = OFF"
	if s.cfg.Driver == store.Postgres {
		driver, source, off = "pgx", string(s.cfg.URL.Reveal()), "SET session_replication_role = replica"
	}
	db, err := sql.Open(driver, source)
	s.must(err)
	db.SetMaxOpenConns(1)
	s.Cleanup(func() { db.Close() })
	_, err = db.Exec(off)
	s.must(err)
	return db
}

const (
	someID  = "11111111-1111-4111-8111-111111111111"
	groupID = "22222222-2222-4222-8222-222222222222"
)

// protectedRows fills every protected table with the rows of two vaults and two principals.
func (s *suite) protectedRows() (v object.VaultID) {
	s.Helper()
	v, second := s.vault("one"), s.vault("two")
	s.update(func(tx *store.Tx) {
		s.must(tx.InsertDataKey(s.ctx, DataKey("installation")))
		for i, vid := range []object.VaultID{v, second} {
			s.must(issued(s.ctx, tx, vid, object.MustName("web"), 1+i))
			s.must(begin(s.ctx, tx, vid, object.MustName("begun"), 100+i))
			s.must(tx.SetContacts(s.ctx, vid, []certificate.Contact{{Email: fmt.Sprintf("ops%d@example.com", i)}}))
			s.must(tx.PutIssuer(s.ctx, &certificate.Issuer{Vault: vid, Name: object.MustName("ca"), Provider: "DigiCert", Enabled: true, Created: epoch, Updated: epoch}))
			s.must(tx.PutRotationPolicy(s.ctx, vid, object.MustName("web"), &key.RotationPolicy{Created: epoch, Updated: epoch}))
		}
		for i, id := range []string{someID, "33333333-3333-4333-8333-333333333333"} {
			s.must(tx.InsertPrincipal(s.ctx, &directory.Principal{ObjectID: id, AppID: fmt.Sprintf("app-%d", i), Name: "web", Kind: "application", Enabled: true, Created: epoch}))
			s.must(tx.InsertCredential(s.ctx, &directory.Credential{ID: fmt.Sprintf("credential-%d", i), ObjectID: id, Kind: directory.Secret, Hash: []byte{byte(i)}, Created: epoch}))
			s.must(tx.InsertAssignment(s.ctx, access.Assignment{ID: fmt.Sprintf("assignment-%d", i), Scope: "/", RoleID: "role", PrincipalID: id}))
			s.must(tx.InsertSigningKey(s.ctx, &token.SigningKey{ID: fmt.Sprintf("kid-%d", i), Private: Box("signing"), Public: []byte("public"), Created: epoch, RetireAt: epoch}))
		}
		s.must(tx.InsertPrincipal(s.ctx, &directory.Principal{ObjectID: groupID, Name: "all", Kind: "group", Enabled: true, Created: epoch}))
		s.must(tx.InsertMembership(s.ctx, directory.Membership{GroupID: groupID, MemberID: someID}))
		s.must(tx.InsertMembership(s.ctx, directory.Membership{GroupID: groupID, MemberID: groupID}))
	})
	return v
}

// given are how many of a table's rows the store gives, each by the read that its decisions rest
// on; a row that is refused is not given.
func (s *suite) given(v object.VaultID) map[string]int {
	web, begun := object.MustName("web"), object.MustName("begun")
	ver := versionID(1_000_001)
	n := map[string]int{}
	count := func(table string, err error, rows int) {
		if err != nil && !errors.Is(err, object.ErrNotAuthentic) && !errors.Is(err, object.ErrNotFound) && !strings.Contains(err.Error(), "decoding") {
			s.Errorf("%s: %v", table, err)
		}
		if err == nil {
			n[table] += rows
		}
	}
	s.must(s.db.View(s.ctx, func(tx *store.Tx) error {
		vaults, err := tx.Vaults(s.ctx)
		count("vaults", err, len(vaults))
		_, err = tx.Certificate(s.ctx, v, web)
		count("certificates", err, 1)
		_, err = tx.CertificateVersion(s.ctx, v, web, ver)
		count("certificate_versions", err, 1)
		_, err = tx.Operation(s.ctx, v, begun)
		count("certificate_operations", err, 1)
		_, err = tx.KeyHead(s.ctx, v, web)
		count("keys", err, 1)
		_, err = tx.KeyVersion(s.ctx, v, web, ver)
		count("key_versions", err, 1)
		_, err = tx.RotationPolicy(s.ctx, v, web)
		count("key_rotation", err, 1)
		_, err = tx.SecretHead(s.ctx, v, web)
		count("secrets", err, 1)
		_, err = tx.SecretVersion(s.ctx, v, web, ver)
		count("secret_versions", err, 1)
		_, err = tx.Contacts(s.ctx, v)
		count("contacts", err, 1)
		_, err = tx.Issuer(s.ctx, v, object.MustName("ca"))
		count("issuers", err, 1)
		as, err := tx.Assignments(s.ctx)
		count("role_assignments", err, len(as))
		_, err = tx.Principal(s.ctx, someID)
		count("principals", err, 1)
		cs, err := tx.Credentials(s.ctx, someID)
		count("credentials", err, len(cs))
		gs, err := tx.GroupsOf(s.ctx, someID)
		count("memberships", err, len(gs))
		ks, err := tx.SigningKeys(s.ctx)
		count("signing_keys", err, len(ks))
		return nil
	}))
	return n
}

// rowsOf are the conditions that pick the rows which given reads; the second row of each
// table is another vault's or principal's.
func rowsOf(v object.VaultID) map[string]string {
	in := "vault = '" + string(v) + "' AND name = "
	ver := " AND version = '" + string(versionID(1_000_001)) + "'"
	return map[string]string{
		"vaults": "id = '" + string(v) + "'", "certificates": in + "'web'", "certificate_versions": in + "'web'" + ver,
		"certificate_operations": in + "'begun'", "keys": in + "'web'", "key_versions": in + "'web'" + ver,
		"key_rotation": in + "'web'", "secrets": in + "'web'", "secret_versions": in + "'web'" + ver,
		"contacts": "vault = '" + string(v) + "'", "issuers": in + "'ca'", "role_assignments": "id = 'assignment-0'",
		"principals": "object_id = '" + someID + "'", "credentials": "id = 'credential-0'",
		"memberships": "group_id = '" + groupID + "' AND member_id = '" + someID + "'", "signing_keys": "id = 'kid-0'",
	}
}

// boxes are the columns whose content is bound to its place by itself: that no other box opens
// there is asserted where they are opened.
var boxes = []string{"private", "value", "password", "order_state"}

// columns reads the columns of a table.
func (s *suite) columns(raw *sql.DB, table string) []string {
	s.Helper()
	rows, err := raw.Query("SELECT * FROM " + table + " LIMIT 0")
	s.must(err)
	defer rows.Close()
	list, err := rows.Columns()
	s.must(err)
	return list
}

// changedValue is a value of a column that is not v.
func changedValue(v any) any {
	switch v := v.(type) {
	case bool:
		return !v
	case int64:
		return 1 - v
	case string:
		return v + "x"
	case []byte:
		return append(slices.Clone(v), 'x')
	case nil:
		return nil
	}
	panic(fmt.Sprintf("%T", v))
}

// editedRows: whoever can write to the database changes one column of one row, puts a row
// there that was deleted, or gives one row what another has. Nothing that rests on that
// row is given, the row is named, and all others are as they were.
func editedRows(s *suite) {
	v := s.protectedRows()
	raw := s.raw()
	before := s.given(v)
	if forged, err := s.db.VerifyRows(s.ctx); err != nil || len(forged) > 0 {
		s.Fatalf("rows of the vault itself: %v %v", forged, err)
	}
	where := rowsOf(v)
	tables := store.ProtectedTables()
	if len(tables) != len(where) || len(before) != len(where) {
		s.Fatalf("%d protected tables, %d are read here: %v", len(tables), len(before), before)
	}
	check := func(table, what string) {
		s.Helper()
		forged, err := s.db.VerifyRows(s.ctx)
		if err != nil || len(forged) != 1 || !strings.HasPrefix(forged[0], table+" ") {
			s.Errorf("%s: %s: named %v, %v", table, what, forged, err)
		}
		after := s.given(v)
		if after[table] >= before[table] {
			s.Errorf("%s: %s: the row is used", table, what)
		}
		for t, n := range before {
			// What stands under a head or a vault is read with it.
			under := table == "vaults" || slices.Contains([]string{"certificates", "keys", "secrets"}, table) && t != table
			if t != table && after[t] != n && !under {
				s.Errorf("%s: %s: %s gives %d rows, and gave %d", table, what, t, after[t], n)
			}
		}
	}
	for table, w := range where {
		for _, column := range s.columns(raw, table) {
			if slices.Contains(boxes, column) {
				continue
			}
			var was any
			s.must(raw.QueryRow("SELECT " + column + " FROM " + table + " WHERE " + w).Scan(&was))
			if b, ok := was.([]byte); ok {
				was = slices.Clone(b)
			}
			for _, is := range []any{changedValue(was), nil} {
				if is == nil && was == nil {
					is = someValue(table, column)
				}
				edit := "UPDATE " + table + " SET " + column + " = $1 WHERE " + w
				var moved string
				if res, err := raw.Exec(edit, is); err != nil {
					continue // the schema does not take it
				} else if n, _ := res.RowsAffected(); n != 1 {
					s.Fatalf("%s: %d rows", edit, n)
				}
				if strings.Contains(w, column+" = ") { // a part of the key: it is found under the new one
					moved = strings.Replace(w, fmt.Sprintf("%s = '%v'", column, was), fmt.Sprintf("%s = '%v'", column, is), 1)
				} else {
					moved = w
				}
				if column == "leaf" || column == "chain" { // their digest is in the row that is verified
					if got := s.given(v); got[table] >= before[table] {
						s.Errorf("%s.%s: it is used", table, column)
					}
				} else {
					check(table, fmt.Sprintf("column %s, %v instead of %v", column, is, was))
				}
				_, err := raw.Exec("UPDATE "+table+" SET "+column+" = $1 WHERE "+moved, was)
				s.must(err)
			}
		}
		// Whole rows: with the tag of another row, and with none.
		for what, tag := range map[string]string{"no tag": "NULL", "a tag of another row": "(SELECT tag FROM vaults WHERE name = 'two')"} {
			var was []byte
			s.must(raw.QueryRow("SELECT tag FROM " + table + " WHERE " + w).Scan(&was))
			_, err := raw.Exec("UPDATE " + table + " SET tag = " + tag + " WHERE " + w)
			s.must(err)
			check(table, what)
			_, err = raw.Exec("UPDATE "+table+" SET tag = $1 WHERE "+w, was)
			s.must(err)
		}
	}
	if forged, err := s.db.VerifyRows(s.ctx); err != nil || len(forged) > 0 {
		s.Fatalf("after all was put back: %v %v", forged, err)
	}
	if s.db.Damage() == nil || s.db.Forged() == 0 {
		s.Error("no alarm was raised")
	}
	s.editedRowsAreNotWritten(raw, v)
}

// someValue is a value for a column that holds none.
func someValue(table, column string) any {
	switch column {
	case "app_id", "condition", "tags":
		return "x"
	case "hsm_id", "csr", "public", "hash", "certificate", "thumbprint", "content", "tag", "leaf", "chain":
		return []byte("x")
	}
	return int64(1)
}

// editedRowsAreNotWritten: a write by the vault must not make trusted what somebody else has
// made of the row.
func (s *suite) editedRowsAreNotWritten(raw *sql.DB, v object.VaultID) {
	web, ver := object.MustName("web"), versionID(1_000_001)
	for _, c := range []struct {
		edit string
		fn   func(tx *store.Tx) error
	}{
		{"UPDATE principals SET kind = 'user' WHERE object_id = '" + someID + "'", func(tx *store.Tx) error {
			return tx.UpdatePrincipal(s.ctx, &directory.Principal{ObjectID: someID, Name: "renamed", Enabled: true})
		}},
		{"UPDATE key_versions SET size = 1 WHERE vault = '" + string(v) + "'", func(tx *store.Tx) error {
			return tx.UpdateKeyVersion(s.ctx, newKey(v, web, ver))
		}},
		{"UPDATE secret_versions SET previous = 'x' WHERE vault = '" + string(v) + "'", func(tx *store.Tx) error {
			return tx.UpdateSecretVersion(s.ctx, newSecret(v, web, ver))
		}},
		{"UPDATE certificate_versions SET thumbprint = NULL WHERE vault = '" + string(v) + "'", func(tx *store.Tx) error {
			return tx.UpdateVersion(s.ctx, newCertificate(v, web, ver))
		}},
		{"UPDATE vaults SET settings = settings || ' ' WHERE id = '" + string(v) + "'", func(tx *store.Tx) error {
			changed := newVault(v, "one")
			changed.Revision = 2
			return tx.UpdateVault(s.ctx, changed)
		}},
		{"UPDATE issuers SET enabled = NOT enabled WHERE vault = '" + string(v) + "'", func(tx *store.Tx) error {
			return tx.PutIssuer(s.ctx, &certificate.Issuer{Vault: v, Name: object.MustName("ca"), Created: epoch, Updated: epoch})
		}},
		{"UPDATE certificate_operations SET issuer = 'x' WHERE vault = '" + string(v) + "'", func(tx *store.Tx) error {
			op := newOperation(v, object.MustName("begun"), string(versionID(9)))
			op.Status, op.HSM = issuance.Completed, hsm.ID{}
			return tx.PutOperation(s.ctx, op)
		}},
	} {
		if s.cfg.Driver == store.SQLite {
			c.edit = strings.Replace(c.edit, "NOT enabled", "1 - enabled", 1)
		}
		_, err := raw.Exec(c.edit)
		s.must(err)
		if err := s.db.Update(s.ctx, c.fn); !errors.Is(err, object.ErrNotAuthentic) {
			s.Errorf("after %s: the write gives %v", c.edit, err)
		}
	}
}
