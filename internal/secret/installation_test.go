package secret_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// installation is the service over the real store and seal. Of its vaults near is of the tenant of home, far of another; kept is protected
// from purges.
type installation struct {
	testing.TB
	*secret.Service
	db     *store.DB
	sealer *seal.Sealer
	grants *accesstest.Grants

	home, near, far, kept *vault.Vault

	seconds atomic.Int64                    // since epoch
	fault   atomic.Pointer[storetest.Fault] // injected into every write
}

func newInstallation(t testing.TB) *installation {
	t.Helper()
	w := &installation{TB: t, grants: accesstest.New(t)}
	cfg := storetest.SQLite(t)
	cfg.Faults = func(point string, when store.When) error {
		if f := w.fault.Load(); f != nil {
			return f.Hook(point, when)
		}
		return nil
	}
	w.db = storetest.Open(t, cfg)
	root, err := seal.CreateRootFile(filepath.Join(t.TempDir(), "root.key"), seal.Value{}, epoch)
	w.must(err)
	w.sealer = seal.NewSealer(root, store.For[seal.Tx]{DB: w.db}, w.now)
	for _, v := range []struct {
		to   **vault.Vault
		what vault.Vault
	}{
		{&w.home, vault.Vault{Name: "home", TenantID: "tenant-1", RetentionDays: 90}},
		{&w.near, vault.Vault{Name: "near", TenantID: "tenant-1", RetentionDays: 7}},
		{&w.far, vault.Vault{Name: "far", TenantID: "tenant-2", RetentionDays: 90}},
		{&w.kept, vault.Vault{Name: "kept", TenantID: "tenant-1", RetentionDays: 7, PurgeProtection: true, Location: "local"}},
	} {
		made := v.what
		made.ID, made.Revision = object.NewVaultID(), 1
		*v.to = &made
		w.must(w.db.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertVault(t.Context(), &made) }))
		// The data key is made now, so that tests which count writes do not see it.
		_, err := w.sealer.Seal(t.Context(), seal.Place{Vault: made.ID}, seal.Value{})
		w.must(err)
	}
	w.Service, err = secret.NewService(secret.Config{DB: store.For[secret.Tx]{DB: w.db}, Sealer: w.sealer, Now: w.now, Fresh: fresh.Source{Commits: w.db.Commits()},
		ToPEM: func(seal.Value) (seal.Value, error) { return seal.Value{}, errors.New("not asked for") }})
	w.must(err)
	return w
}

func (w *installation) now() time.Time {
	return epoch.Add(time.Duration(w.seconds.Load()) * time.Second)
}

func (w *installation) pass(d time.Duration) { w.seconds.Add(int64(d / time.Second)) }

// grant is what the gate would give for this on a name of home.
func (w *installation) grant(a access.Action, name string) access.Grant {
	return w.grantIn(w.home, a, name)
}

func (w *installation) grantIn(v *vault.Vault, a access.Action, name string) access.Grant {
	n, err := object.ParseName(name)
	if err != nil && name != "" {
		w.Fatal(err)
	}
	return w.grants.Give(v, a, n)
}

// value is a new version that says nothing but its value.
func value(s string) secret.SetParams { return secret.SetParams{Value: seal.NewValue([]byte(s))} }

func (w *installation) try(name string, p secret.SetParams) (*secret.Bundle, error) {
	return w.Set(w.Context(), w.grant(access.SecretSet, name), p)
}

// put sets and must succeed.
func (w *installation) put(name string, p secret.SetParams) *secret.Bundle {
	w.Helper()
	b, err := w.try(name, p)
	w.must(err)
	return b
}

// read is the value of a version.
func (w *installation) read(name string, ver object.Version) string {
	w.Helper()
	b, err := w.Get(w.Context(), w.grant(access.SecretGet, name), ver, "")
	w.must(err)
	return string(b.Value.Reveal())
}

func (w *installation) change(name string, ver object.Version, c secret.Change) (*secret.Bundle, error) {
	return w.Update(w.Context(), w.grant(access.SecretUpdate, name), ver, c)
}

func (w *installation) remove(name string) *secret.Bundle {
	w.Helper()
	b, err := w.Delete(w.Context(), w.grant(access.SecretDelete, name))
	w.must(err)
	return b
}

func (w *installation) purge(name string) error {
	return w.Purge(w.Context(), w.grant(access.SecretPurge, name))
}

func (w *installation) backup(name string) string {
	w.Helper()
	blob, err := w.Backup(w.Context(), w.grant(access.SecretBackup, name))
	w.must(err)
	return blob
}

func (w *installation) restore(v *vault.Vault, blob string) (*secret.Bundle, error) {
	b, err := w.OpenBackup(w.Context(), v, blob)
	if err != nil {
		return nil, err
	}
	return w.Restore(w.Context(), w.grantIn(v, access.SecretRestore, b.Name().String()), b)
}

// manage makes a name as a certificate does, with one version unless it is
// pending.
func (w *installation) manage(name string, d *object.Deletion, pending bool) {
	w.Helper()
	h := object.Head{Vault: w.home.ID, Name: object.MustName(name), Managed: true, Deletion: d}
	v := &secret.Version{Vault: h.Vault, Name: h.Name, Version: object.NewVersion(), ContentType: pemType,
		Attributes: object.Attributes{Enabled: true, Created: epoch, Updated: epoch}}
	var err error
	v.Value, err = w.sealer.Seal(w.Context(), secret.ValuePlace(v.Vault, v.Name, v.Version), seal.NewValue([]byte("material")))
	w.must(err)
	if !pending {
		h.Current = v.Version
	}
	w.must(w.db.Update(w.Context(), func(tx *store.Tx) error {
		if err := tx.InsertSecret(w.Context(), h); err != nil || pending {
			return err
		}
		return tx.InsertSecretVersion(w.Context(), v)
	}))
}

func (w *installation) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// refused checks an error for its kind and what its text holds.
func (w *installation) refused(err error, kind fault.Kind, text string) {
	w.Helper()
	if !fault.Is(err, kind) || !strings.Contains(err.Error(), text) {
		w.Errorf("got error %v, want kind %d with %q", err, kind, text)
	}
}

// check walks all vaults and opens every box.
func (w *installation) check() {
	w.Helper()
	open := func(p seal.Place, b seal.Box) error {
		_, err := w.sealer.Open(w.Context(), p, b)
		return err
	}
	for _, err := range storetest.CheckVault(w.Context(), w.db, open) {
		w.Error(err)
	}
}

// dump is all that is stored of a name of home, to be compared.
func (w *installation) dump(name string) string {
	w.Helper()
	n, v, ctx := object.MustName(name), w.home.ID, w.Context()
	var out strings.Builder
	date := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.String()
	}
	w.must(w.db.View(ctx, func(tx *store.Tx) error {
		h, err := tx.SecretHead(ctx, v, n)
		if errors.Is(err, object.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(&out, "head", h.Name, h.Managed, h.Current)
		if h.Deletion != nil {
			fmt.Fprintln(&out, "deleted", h.Deletion.At, h.Deletion.PurgeAt)
		}
		all, err := tx.SecretVersions(ctx, v, n, object.Page{})
		for _, s := range all {
			a := s.Attributes
			fmt.Fprintf(&out, "%s %q %x %v %s %s %s %s %v\n", s.Version, s.ContentType, s.Value, a.Enabled,
				date(a.NotBefore), date(a.Expires), a.Created, a.Updated, s.Tags)
		}
		return err
	}))
	return out.String()
}

func ptr[T any](v T) *T { return &v }
