package certificate_test

import (
	"bytes"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/vault"
)

func (w *installation) backup(name string) string {
	w.Helper()
	blob, err := w.service.Backup(w.Context(), w.grant(access.CertificateBackup, name))
	w.must(err)
	return blob
}

func (w *installation) restore(v *vault.Vault, blob string) (*certificate.Bundle, error) {
	b, err := w.service.OpenBackup(w.Context(), v, blob)
	if err != nil {
		return nil, err
	}
	return w.service.Restore(w.Context(), w.grantIn(v, access.CertificateRestore, b.Name().String()), b)
}

func TestBackupAndRestore(t *testing.T) {
	w := newInstallation(t)
	w.issued("Web", selfPolicy())
	w.pass(time.Hour)
	pem := selfPolicy()
	pem.ContentType = ptr(issuance.PEM)
	w.issued("web", pem)
	if _, err := w.update("web", "", certificate.UpdateParams{Tags: object.Tags{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	before, value := w.get("web"), w.secret("web")
	blob := w.backup("WEB")
	if _, err := base64.RawURLEncoding.Strict().DecodeString(blob); err != nil {
		t.Error(err)
	}
	w.pass(time.Hour)

	_, err := w.restore(w.home, blob)
	w.refused(err, fault.Conflict, "There was a conflict restoring the certificate 'Web/"+string(before.Version.Version)+"'.")
	w.remove("web")
	_, err = w.restore(w.home, blob)
	w.refused(err, fault.Conflict, "")
	w.must(w.purge("web"))
	got, err := w.restore(w.home, blob)
	w.must(err)
	want := *before.Certificate
	want.Pending = false // the operation is not part of a backup
	if diff := cmp.Diff(&certificate.Bundle{Certificate: &want, Version: before.Version}, got, byName); diff != "" {
		t.Errorf("restored (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(got, w.get("web"), byName); diff != "" {
		t.Errorf("answered and stored differ\n%s", diff)
	}
	if w.secret("web") != value {
		t.Error("another secret")
	}
	versions, _, err := w.service.ListVersions(t.Context(), w.grant(access.CertificateListVersions, "web"), object.Page{Limit: 9})
	if err != nil || len(versions) != 2 || versions[1].Version != before.Version.Version {
		t.Errorf("%d versions, %v", len(versions), err)
	}
	w.check()
	w.issued("web", nil) // and it goes on from there

	// Another vault of the tenant is the same geography; of another tenant, not.
	if _, err := w.restore(w.near, blob); err != nil {
		t.Error(err)
	}
	_, err = w.restore(w.far, blob)
	w.refused(err, fault.Invalid, "Backup blob is corrupt.")
	w.check()
}

func TestBackupOfAPlaceholder(t *testing.T) {
	w := newInstallation(t)
	w.begin("web", selfPolicy())
	before := w.get("web")
	blob := w.backup("web")
	w.remove("web")
	w.must(w.purge("web"))
	got, err := w.restore(w.home, blob)
	w.must(err)
	if got.Version.Completed || got.Certificate.Pending || got.Version.Attributes.Enabled || !cmp.Equal(got.Version, before.Version, byName) {
		t.Errorf("%+v of %+v", got.Version, got.Certificate)
	}
	w.check()
	w.issued("web", nil)
	w.check()
}

func TestRestoreNeedsTheKeyAndSecretNames(t *testing.T) {
	w := newInstallation(t)
	w.issued("web", selfPolicy())
	blob := w.backup("web")
	w.remove("web")
	w.must(w.purge("web"))
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.InsertSecret(t.Context(), object.Head{Vault: w.home.ID, Name: object.MustName("web")})
	}))
	_, err := w.restore(w.home, blob)
	w.refused(err, fault.Conflict, "A key or secret named web already exists")
	_, err = w.service.Backup(t.Context(), w.grant(access.CertificateBackup, "web"))
	w.refused(err, fault.NotFound, "web was not found")
	b, err := w.service.OpenBackup(t.Context(), w.home, blob)
	w.must(err)
	if _, err := w.service.Restore(t.Context(), w.grant(access.CertificateRestore, "other"), b); err == nil {
		t.Error("a grant for another name restores")
	}
}

// Every byte of a blob is under its seal.
func TestTamperedBackupsAreRefused(t *testing.T) {
	w := newInstallation(t)
	w.issued("web", selfPolicy())
	blob := w.backup("web")
	raw, err := base64.RawURLEncoding.DecodeString(blob)
	w.must(err)
	if bytes.Contains(raw, []byte("www.example.net")) || bytes.Contains(raw, []byte("Versions")) {
		t.Error("the blob shows its content")
	}
	open := func(value string) error {
		_, err := w.service.OpenBackup(t.Context(), w.home, value)
		return err
	}
	w.must(open(blob + "=")) // padded, as some libraries insist
	step := max(1, len(raw)/400)
	for i := 0; i < len(raw); i++ {
		if i > 80 && i < len(raw)-40 && i%step != 0 {
			continue // the head, the end, and of the middle some
		}
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if err := open(base64.RawURLEncoding.EncodeToString(changed)); !fault.Is(err, fault.Invalid) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for _, c := range []struct{ claim, value, text string }{
		{"nothing", "", "'value' is required"},
		{"not base64url", "a+/b", "base64url"},
		{"cut", blob[:len(blob)/8*4], "Backup blob is corrupt."},
		{"only the prefix", base64.RawURLEncoding.EncodeToString([]byte("CofferCertificateBackupV1\n")), "Backup blob is corrupt."},
		{"longer", base64.RawURLEncoding.EncodeToString(append(bytes.Clone(raw), 0)), "Backup blob is corrupt."},
		{"of the real service", base64.RawURLEncoding.EncodeToString([]byte("&AzureKeyVaultKeyBackupV1.microsoft.com" + strings.Repeat("x", 99))), "Backup blob is corrupt."},
		{"endless", strings.Repeat("A", 16<<20+1), "Backup blob is corrupt."},
	} {
		w.refused(open(c.value), fault.Invalid, c.text)
	}
	// Of another installation, which has another root key.
	other := newInstallation(t)
	_, err = other.service.OpenBackup(t.Context(), other.home, blob)
	w.refused(err, fault.Invalid, "Backup blob is corrupt.")
}

// A backup that no restore would take is refused when it is made.
func TestBackupIsNeverLargerThanARestoreTakes(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	p := newPair(t, root)
	chain := strings.Repeat(string(toPEM("CERTIFICATE", huge(t, root))), 44)
	pem := &issuance.Patch{ContentType: ptr(issuance.PEM)}
	failed := false
	for i := range 75 {
		if _, err := w.importing("web", certificate.ImportParams{Value: hidden(p.pem + chain), Policy: pem}); err != nil {
			t.Fatal(err)
		}
		if i != 30 && i != 74 {
			continue
		}
		blob, err := w.service.Backup(t.Context(), w.grant(access.CertificateBackup, "web"))
		if err != nil {
			w.refused(err, fault.Invalid, "too large to be backed up")
			failed = true
			break
		}
		if _, err := w.service.OpenBackup(t.Context(), w.home, blob); err != nil {
			t.Fatalf("a backup of %d characters does not open: %v", len(blob), err)
		}
	}
	if !failed {
		t.Error("the bound was not met")
	}
}

func TestSerialNumbersDiffer(t *testing.T) {
	w := newInstallation(t)
	seen := map[string]bool{}
	for range 4 {
		leaf := certificatesOf(t, toPEM("CERTIFICATE", w.issued("web", selfPolicy()).Version.Leaf))[0]
		if n := leaf.SerialNumber; n.Cmp(new(big.Int).Lsh(big.NewInt(1), 128)) >= 0 || n.BitLen() < 80 || n.Sign() <= 0 {
			t.Errorf("serial number %v", n)
		}
		seen[leaf.SerialNumber.String()] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d serial numbers", len(seen))
	}
}
