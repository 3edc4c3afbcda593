package store

import (
	"context"
	"strings"
	"testing"

	"coffer/internal/vault"
)

// Every table has a tag, or a reason for none.
func TestEveryTableIsProtectedOrSaysWhyNot(t *testing.T) {
	db := openFaulty(t, func(string, When) error { return nil })
	guard := db.engine.protected()
	err := db.View(t.Context(), func(tx *Tx) error {
		return tx.rows(t.Context(), userTables, nil, func(s scanner) error {
			var name string
			if err := s.Scan(&name); err != nil {
				return err
			}
			if (guard.tables[name] != nil) == (unprotectedTables[name] != "") {
				t.Errorf("table %s belongs in primaryKeys, or in unprotectedTables with a reason", name)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, table := range guard.tables {
		if len(table.cols) < len(table.key) || len(table.cols) == 0 {
			t.Errorf("%s: %v", name, table.cols)
		}
	}
}

// A write that does not say which row it changes could give a tag to what somebody else wrote.
func TestUpdatesOfManyRowsAreRefused(t *testing.T) {
	db := openFaulty(t, func(string, When) error { return nil })
	err := db.Update(t.Context(), func(tx *Tx) error {
		if err := tx.InsertVault(t.Context(), &vault.Vault{ID: "v", Name: "v"}); err != nil {
			return err
		}
		_, err := tx.exec(t.Context(), "UpdateVault", "UPDATE vaults SET revision = $1 WHERE revision < $1", 7)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "does not begin its WHERE") {
		t.Errorf("%v", err)
	}
}

// Without the keys nothing that is protected can be read or written; what is not, can.
func TestNothingProtectedIsUsedWithoutKeys(t *testing.T) {
	db := openFaulty(t, func(string, When) error { return nil })
	ctx := context.Background()
	insert := func(tx *Tx) error { return tx.InsertVault(ctx, &vault.Vault{ID: "v", Name: "v"}) }
	if err := db.Update(ctx, insert); err != nil {
		t.Fatal(err)
	}
	db.Authenticate(nil)
	for name, fn := range map[string]func(tx *Tx) error{
		"a row":   func(tx *Tx) error { _, err := tx.VaultByID(ctx, "v"); return err },
		"a list":  func(tx *Tx) error { _, err := tx.Vaults(ctx); return err },
		"a write": func(tx *Tx) error { return tx.InsertVault(ctx, &vault.Vault{ID: "w", Name: "w"}) },
	} {
		if err := db.Update(ctx, fn); err == nil || !strings.Contains(err.Error(), errNoKeys.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := db.View(ctx, func(tx *Tx) error { _, err := tx.DataKeys(ctx, ""); return err }); err != nil {
		t.Error(err)
	}
}
