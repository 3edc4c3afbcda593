package secret_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
)

func TestBackupAndRestore(t *testing.T) {
	w := newInstallation(t)
	from, to := epoch, epoch.Add(time.Hour)
	values := []string{"", "two\x00\xff", strings.Repeat("3", 25_600)}
	first := w.put("Web", secret.SetParams{Value: seal.NewValue([]byte(values[0])), Change: secret.Change{
		ContentType: ptr("a/b"), NotBefore: &from, Expires: &to, Tags: object.Tags{"a": "b"}}})
	w.pass(time.Minute)
	w.put("web", secret.SetParams{Value: seal.NewValue([]byte(values[1])), Change: secret.Change{Enabled: ptr(false), Tags: object.Tags{}}})
	last := w.put("web", value(values[2])).Version
	w.pass(time.Minute)
	if _, err := w.change("web", "", secret.Change{Enabled: ptr(false)}); err != nil {
		t.Fatal(err)
	}
	versions := func(v access.Grant) []*secret.Version {
		list, _, _, err := w.ListVersions(t.Context(), v, object.Page{Limit: 9})
		w.must(err)
		return list
	}
	before := versions(w.grant(access.SecretListVersions, "web"))
	blob := w.backup("WEB") // a disabled one too
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(blob); err != nil || !bytes.HasPrefix(raw, []byte("CofferSecretBackupV1\n")) {
		t.Errorf("%.40q, %v", raw, err)
	}
	w.pass(time.Hour)

	conflict := fmt.Sprintf("There was a conflict restoring the secret 'Web/%s'. This can happen if either: a second secret with", last.Version)
	_, err := w.restore(w.home, blob)
	w.refused(err, fault.Conflict, conflict)
	w.remove("web")
	_, err = w.restore(w.home, blob)
	w.refused(err, fault.Conflict, conflict)
	w.must(w.purge("web"))
	got, err := w.restore(w.home, blob)
	w.must(err)
	if got.Head.Current != last.Version || got.Version.Version != last.Version || got.Value.Reveal() != nil || got.Head.Managed || got.Version.Attributes.Enabled {
		t.Errorf("%+v", got)
	}
	if d := cmp.Diff(before, versions(w.grant(access.SecretListVersions, "web")), byName); d != "" {
		t.Errorf("restored (-want +got)\n%s", d)
	}
	if got := w.read("web", first.Version.Version); got != values[0] {
		t.Errorf("the first value is %q", got)
	}
	for _, ver := range before[1:] {
		_, err := w.change("web", ver.Version, secret.Change{Enabled: ptr(true)})
		w.must(err)
	}
	for i, ver := range before {
		if w.read("web", ver.Version) != values[i] {
			t.Errorf("value %d changed", i)
		}
	}
	w.put("web", value("and on")) // it goes on from there
	w.check()

	// Another vault of the tenant is the same geography; of another tenant, not.
	if _, err := w.restore(w.near, blob); err != nil {
		t.Error(err)
	}
	if got := len(versions(w.grantIn(w.near, access.SecretListVersions, "web"))); got != 3 {
		t.Errorf("%d versions next door", got)
	}
	_, err = w.restore(w.far, blob)
	w.refused(err, fault.Invalid, "Backup blob is corrupt.")
	w.check()
	_, err = w.Backup(t.Context(), w.grant(access.SecretBackup, "nobody"))
	w.refused(err, fault.NotFound, "nobody was not found")
}

// Every byte of a blob is under its seal.
func TestTamperedBackupsAreRefused(t *testing.T) {
	w := newInstallation(t)
	w.put("web", value("hunter2 hunter2"))
	blob := w.backup("web")
	raw, err := base64.RawURLEncoding.DecodeString(blob)
	w.must(err)
	if bytes.Contains(raw, []byte("hunter2")) || bytes.Contains(raw, []byte("Versions")) {
		t.Error("the blob shows its content")
	}
	open := func(value string) error {
		_, err := w.OpenBackup(t.Context(), w.home, value)
		return err
	}
	w.must(open(blob + "=")) // padded, as some libraries insist
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if err := open(base64.RawURLEncoding.EncodeToString(changed)); !fault.Is(err, fault.Invalid) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	encode := base64.RawURLEncoding.EncodeToString
	certificates := append([]byte("CofferCertificateBackupV1\n"), raw[len("CofferSecretBackupV1\n"):]...)
	for _, c := range []struct{ claim, value, text string }{
		{"nothing", "", "'value' is required"},
		{"not base64url", "a+/b", "base64url"},
		{"cut", blob[:len(blob)/2], "Backup blob is corrupt."},
		{"only the mark", encode([]byte("CofferSecretBackupV1\n")), "Backup blob is corrupt."},
		{"of another kind", encode(certificates), "Backup blob is corrupt."},
		{"longer", encode(append(bytes.Clone(raw), 0)), "Backup blob is corrupt."},
		{"of the real service", encode([]byte(")AzureKeyVaultSecretBackupV1.microsoft.com" + strings.Repeat("x", 99))), "Backup blob is corrupt."},
		{"endless", strings.Repeat("A", 16<<20), "Backup blob is corrupt."},
	} {
		w.refused(open(c.value), fault.Invalid, c.text)
	}
	// Of another installation, which has another root key.
	other := newInstallation(t)
	_, err = other.OpenBackup(t.Context(), other.home, blob)
	w.refused(err, fault.Invalid, "Backup blob is corrupt.")
}

// A backup that no restore would take is refused when it is made.
func TestBackupIsBounded(t *testing.T) {
	w := newInstallation(t)
	w.put("small", value("x"))
	large := value(strings.Repeat("x", 25_600))
	for range 500 {
		w.put("small", value("x"))
		w.put("large", large)
	}
	_, err := w.Backup(t.Context(), w.grant(access.SecretBackup, "small"))
	w.refused(err, fault.Invalid, "A secret with more than 500 versions cannot be backed up.")
	_, err = w.Backup(t.Context(), w.grant(access.SecretBackup, "large"))
	w.refused(err, fault.Invalid, "The secret is too large to be backed up.")
}
