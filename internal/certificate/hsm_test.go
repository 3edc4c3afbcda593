package certificate_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/hsm"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/key/keytest"
	"coffer/internal/object"
	"coffer/internal/pkcs12"
	"coffer/internal/pki"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// hardware is an installation whose home is premium, with an HSM.
type hardware struct {
	*installation
	hsm     *keytest.HSM
	custody key.Custody // does the jobs
}

func newHardware(t testing.TB) *hardware {
	t.Helper()
	device := &keytest.HSM{}
	w := newInstallation(t, func(c *certificate.Config) { c.Device = device })
	home, err := w.home.Changed(w.now(), func(v *vault.Vault) error {
		v.SKU = vault.Premium
		return nil
	})
	w.must(err)
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateVault(t.Context(), home) }))
	w.home = home
	return &hardware{w, device, key.Custody{
		Sealer: w.sealer, Device: device, Now: w.now, Wake: func() {}, Logger: slog.New(slog.DiscardHandler),
		Update: func(ctx context.Context, fn func(key.HandleTx) error) error {
			return w.db.Update(ctx, func(tx *store.Tx) error { return fn(tx) })
		},
	}}
}

// inHSM is selfPolicy for a key of the HSM.
func inHSM(kty string) *issuance.Patch {
	p := selfPolicy()
	p.Key.Type = &kty
	return p
}

// held are the keys in the HSM that the database has.
func (w *hardware) held() (ids []hsm.ID) {
	w.Helper()
	w.must(w.db.View(w.Context(), func(tx *store.Tx) (err error) {
		ids, err = tx.HSMKeys(w.Context(), w.home.ID, object.Name{})
		return err
	}))
	return ids
}

// same: after all jobs the HSM has what the database has, and no more.
func (w *hardware) same(what string) {
	w.Helper()
	w.pass(2 * time.Hour)
	ctx := w.Context()
	var list []jobs.Job
	w.must(w.db.Update(ctx, func(tx *store.Tx) (err error) {
		list, err = tx.ClaimJobs(ctx, []jobs.Kind{key.DestroyJob}, w.now(), w.now(), w.now().Add(time.Minute), 1000)
		return err
	}))
	for _, j := range list {
		w.must(w.custody.Destroy(ctx, j))
	}
	if held, there := w.held(), w.hsm.IDs(); !slices.Equal(held, there) {
		w.Errorf("%s: the database has %v, the HSM %v", what, held, there)
	}
	w.check()
}

// keyOf is the current version of the key of a certificate.
func (w *hardware) keyOf(name string) *key.Version {
	w.Helper()
	var v *key.Version
	w.must(w.db.View(w.Context(), func(tx *store.Tx) (err error) {
		_, v, err = tx.Key(w.Context(), w.home.ID, object.MustName(name), "")
		return err
	}))
	return v
}

// A certificate with a key in the HSM: it is signed there, and its secret holds
// certificates only.
func TestCertificatesWithKeysInTheHSM(t *testing.T) {
	w := newHardware(t)
	for _, kty := range []string{"RSA-HSM", "EC-HSM"} {
		p := inHSM(kty)
		if kty == "EC-HSM" {
			p.ContentType = ptr(issuance.PEM)
		}
		op := w.begin(kty, p)
		if op.HSM.IsZero() || len(w.hsm.IDs()) == 0 {
			t.Fatalf("%s: the pending key is not in the HSM", kty)
		}
		content, err := w.sealer.Open(t.Context(), issuance.PendingPlace(op.Vault, op.Name, op.RequestID), op.Private)
		if err != nil || string(content.Reveal()) != op.HSM.String() {
			t.Errorf("%s: the box of the pending key holds %q, %v", kty, content.Reveal(), err)
		}
		w.must(w.work())
		b, v := w.get(kty), w.keyOf(kty)
		leaf, err := x509.ParseCertificate(b.Version.Leaf)
		w.must(err)
		if err := leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature); err != nil {
			t.Error(err)
		}
		private, ok := w.hsm.Key(v.HSM).(crypto.Signer)
		if !ok || !pki.PublicEqual(private.Public(), leaf.PublicKey) || v.Type() != kty || v.HSM != op.HSM || v.Exportable {
			t.Errorf("%s: the key is %s %s", kty, v.Type(), v.HSM)
		}
		if b.Certificate.Policy.Key.Type != kty || b.Certificate.Policy.Key.Exportable {
			t.Errorf("%s: %+v", kty, b.Certificate.Policy.Key)
		}
		if done := w.operation(kty); !done.HSM.IsZero() || done.Private != nil {
			t.Errorf("%s: the operation keeps %s", kty, done.HSM)
		}
		secret := w.secret(kty)
		if kty == "EC-HSM" {
			if strings.Contains(secret, "PRIVATE KEY") || strings.Count(secret, "BEGIN CERTIFICATE") != 1 {
				t.Errorf("the secret is %s", secret)
			}
			continue
		}
		der, err := base64.StdEncoding.DecodeString(secret)
		w.must(err)
		pfx, err := pkcs12.Decode(der, "")
		if err != nil || pfx.KeyPKCS8 != nil || len(pfx.Certificates) != 1 {
			t.Errorf("the PFX has a key of %d bytes and %d certificates, %v", len(pfx.KeyPKCS8), len(pfx.Certificates), err)
		}
	}
	_, err := w.service.Backup(t.Context(), w.grant(access.CertificateBackup, "RSA-HSM"))
	w.refused(err, fault.Unsupported, "cannot leave it")
	w.same("issued")
	for _, kty := range []string{"RSA-HSM", "EC-HSM"} {
		w.remove(kty)
		w.must(w.purge(kty))
	}
	if len(w.hsm.IDs()) != 2 {
		t.Error("the keys went with the commit")
	}
	w.same("purged")
}

func TestHSMPoliciesNeedAPremiumVaultAndAnHSM(t *testing.T) {
	const text = "Hardware key operation not allowed on standard vault"
	hard := newHardware(t)
	soft := newInstallation(t)
	without := *soft.home
	without.SKU = vault.Premium
	pfx := newPair(t, newAuthority(t, "root", nil)).pem
	for _, c := range []struct {
		*installation
		vault *vault.Vault
	}{{hard.installation, hard.near}, {soft, &without}} {
		c.home = c.vault
		c.issued("web", selfPolicy())
		_, err := c.create("new", certificate.CreateParams{Policy: inHSM("RSA-HSM")})
		c.refused(err, fault.Forbidden, text)
		_, err = c.importing("new", certificate.ImportParams{Value: hidden(pfx), Policy: &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("EC-HSM")}}})
		c.refused(err, fault.Forbidden, text)
		_, err = c.service.UpdatePolicy(t.Context(), c.grant(access.CertificatePolicyUpdate, "web"), &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("EC-HSM")}})
		c.refused(err, fault.Forbidden, text)
		_, err = c.service.Update(t.Context(), c.grant(access.CertificateUpdate, "web"), "", certificate.UpdateParams{
			Policy: &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("EC-HSM")}}})
		c.refused(err, fault.Forbidden, text)
		c.check()
	}
	// A vault that is not premium any more: the policy can be changed, but not used.
	premium := *hard.near
	premium.SKU = vault.Premium
	hard.home = &premium
	hard.issued("old", inHSM("EC-HSM"))
	hard.home = hard.near
	_, err := hard.create("old", certificate.CreateParams{})
	hard.refused(err, fault.Forbidden, text)
	_, err = hard.service.UpdatePolicy(t.Context(), hard.grant(access.CertificatePolicyUpdate, "old"), &issuance.Patch{X509: issuance.X509Patch{ValidityMonths: ptr(3)}})
	hard.must(err)
}

// A reused key is shared in the HSM until its last holder is gone; a policy that
// moves into or out of the HSM gets a new key.
func TestReusedKeysInTheHSM(t *testing.T) {
	w := newHardware(t)
	p := inHSM("EC-HSM")
	p.Key.Reuse = ptr(true)
	w.issued("web", p)
	first := w.keyOf("web").HSM
	w.begin("web", p)
	if got := w.operation("web").HSM; got != first {
		t.Errorf("the pending key is %s, not %s", got, first)
	}
	_, err := w.service.DeleteOperation(t.Context(), w.grant(access.CertificatePendingDelete, "web"), "")
	w.must(err)
	w.same("the operation that shared it is deleted")
	w.issued("web", p)
	if got := w.keyOf("web").HSM; got != first || len(w.hsm.IDs()) != 1 {
		t.Errorf("the second version has %s, not %s", got, first)
	}
	p.Key.Type = ptr("EC")
	w.issued("web", p)
	if !w.keyOf("web").HSM.IsZero() {
		t.Error("a policy for software has got a key of the HSM")
	}
	p.Key.Type = ptr("EC-HSM")
	w.issued("web", p)
	if got := w.keyOf("web").HSM; got.IsZero() || got == first {
		t.Errorf("a policy for the HSM has got %s", got)
	}
	w.same("four versions")
	if len(w.hsm.IDs()) != 2 {
		t.Errorf("the HSM has %v", w.hsm.IDs())
	}
}

// What ends a pending operation without a version ends its key, but for a failed or
// cancelled one, which may still be merged.
func TestPendingKeysInTheHSMEnd(t *testing.T) {
	w := newHardware(t)
	root := newAuthority(t, "root", nil)
	pending := func(name string) *issuance.Patch {
		p := policyOf("Unknown")
		p.Key.Type = ptr("EC-HSM")
		w.begin(name, p)
		return p
	}
	pending("merged")
	_, err := w.merge("merged", certificate.MergeParams{X5C: x5c(root.certify(t, w.operation("merged").CSR))})
	w.must(err)
	w.same("merged")
	if len(w.hsm.IDs()) != 1 {
		t.Errorf("the HSM has %v", w.hsm.IDs())
	}
	pending("deleted")
	_, err = w.service.DeleteOperation(t.Context(), w.grant(access.CertificatePendingDelete, "deleted"), "")
	w.must(err)
	w.same("the operation is deleted")

	// A failed one stays until another takes its place, by a create or an import.
	for _, again := range []func(name string){
		func(name string) { w.begin(name, inHSM("EC-HSM")); w.must(w.work()) },
		func(name string) {
			_, err := w.importing(name, certificate.ImportParams{Value: hidden(newPair(t, root).pem)})
			w.must(err)
		},
	} {
		w.setIssuer("corp", "none", true)
		name := fmt.Sprintf("failed-%d", len(w.held()))
		p := policyOf("corp")
		p.Key.Type = ptr("EC-HSM")
		w.begin(name, p)
		w.must(w.work())
		if op := w.operation(name); op.Status != issuance.Failed || op.HSM.IsZero() || w.hsm.Key(op.HSM) == nil {
			t.Errorf("a failed operation has %s", op.HSM)
		}
		w.same("failed")
		before := w.operation(name).HSM
		again(name)
		w.same("begun again")
		if w.hsm.Key(before) != nil {
			t.Error("the key of an operation that is gone is still there")
		}
	}
}

// An imported key goes into the HSM when its policy says so, and not by default.
func TestImportIntoTheHSM(t *testing.T) {
	w := newHardware(t)
	pair := newPair(t, newAuthority(t, "root", nil))
	_, err := w.importing("soft", certificate.ImportParams{Value: hidden(pair.pem)})
	w.must(err)
	b, err := w.importing("hard", certificate.ImportParams{Value: hidden(pair.pem), Policy: &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("EC-HSM")}}})
	w.must(err)
	if v := w.keyOf("hard"); v.Type() != "EC-HSM" || b.Certificate.Policy.Key.Exportable || strings.Contains(w.secret("hard"), "PRIVATE KEY") {
		t.Errorf("%s, %+v", v.Type(), b.Certificate.Policy.Key)
	}
	if v := w.keyOf("soft"); v.Type() != "EC" || len(w.hsm.IDs()) != 1 {
		t.Errorf("%s, and the HSM has %v", v.Type(), w.hsm.IDs())
	}
	_, err = w.importing("bad", certificate.ImportParams{Value: hidden(pair.pem), Policy: &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("EC-HSM"), Exportable: ptr(true)}}})
	w.refused(err, fault.Invalid, "A key of type EC-HSM cannot be exportable.")
	_, err = w.importing("bad", certificate.ImportParams{Value: hidden(pair.pem), Policy: &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("RSA-HSM")}}})
	w.refused(err, fault.Invalid, "Property policy has invalid value")
	w.same("imported")
}

// An HSM that is away keeps an operation in progress until it is back.
func TestIssuanceWaitsForTheHSM(t *testing.T) {
	w := newHardware(t)
	w.begin("web", inHSM("EC-HSM"))
	w.hsm.Pull(true)
	if err := w.work(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("issuing without the HSM: %v", err)
	}
	if op := w.operation("web"); op.Status != issuance.InProgress {
		t.Errorf("the operation is %s: %v", op.Status, op.Error)
	}
	_, err := w.create("new", certificate.CreateParams{Policy: inHSM("EC-HSM")})
	w.refused(err, fault.Unavailable, "")
	w.hsm.Pull(false)
	w.pass(2 * time.Minute) // the lease
	w.must(w.work())
	if op := w.operation("web"); op.Status != issuance.Completed {
		t.Errorf("the operation is %s", op.Status)
	}
	w.same("issued")
}

// Every write of what moves handles is failed on both sides.
func TestFailedWritesKeepHSMAndDatabaseTogether(t *testing.T) {
	w := newHardware(t)
	root := newAuthority(t, "root", nil)
	pair := newPair(t, root)
	reuse := inHSM("EC-HSM")
	reuse.Key.Reuse = ptr(true)
	var job jobs.Job
	for _, s := range []struct {
		name    string
		prepare func(n string)
		act     func(n string) error
	}{
		{"create", func(string) {}, func(n string) error {
			_, err := w.create(n, certificate.CreateParams{Policy: inHSM("EC-HSM")})
			return err
		}},
		{"reuse", func(n string) { w.issued(n, reuse) }, func(n string) error {
			_, err := w.create(n, certificate.CreateParams{})
			return err
		}},
		{"issue", func(n string) { w.begin(n, inHSM("EC-HSM")); job = w.claim()[0] }, func(string) error { return w.service.Issue(w.Context(), job) }},
		{"import", func(n string) {
			p := policyOf("Unknown")
			p.Key.Type = ptr("EC-HSM")
			op := w.begin(n, p)
			_, err := w.merge(n, certificate.MergeParams{X5C: x5c(root.certify(t, op.CSR))})
			w.must(err)
		}, func(n string) error {
			_, err := w.importing(n, certificate.ImportParams{Value: hidden(pair.pem), Policy: &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("EC-HSM")}}})
			return err
		}},
		{"delete the operation", func(n string) { w.begin(n, inHSM("EC-HSM")) }, func(n string) error {
			_, err := w.service.DeleteOperation(w.Context(), w.grant(access.CertificatePendingDelete, n), "")
			return err
		}},
		{"purge", func(n string) { w.issued(n, reuse); w.begin(n, reuse); w.remove(n) }, func(n string) error { return w.purge(n) }},
	} {
		t.Run(s.name, func(t *testing.T) {
			run := func(n string, f *storetest.Fault) error {
				s.prepare(n)
				w.fault.Store(f)
				err := s.act(n)
				w.fault.Store(nil)
				for _, id := range w.held() {
					if w.hsm.Key(id) == nil {
						t.Errorf("%s: the database has %s, the HSM does not", n, id)
					}
				}
				w.same(n)
				// Nothing of it is left for the next.
				w.must(w.db.Update(w.Context(), func(tx *store.Tx) error {
					list, err := tx.Jobs(w.Context())
					for _, j := range list {
						err = errors.Join(err, tx.DeleteJobs(w.Context(), j.Kind, j.Vault, j.Ref))
					}
					name := object.MustName(n)
					return errors.Join(err, key.Purge(w.Context(), tx, w.home.ID, name), tx.PurgeCertificate(w.Context(), w.home.ID, name), tx.PurgeSecret(w.Context(), w.home.ID, name))
				}))
				w.same(n)
				return err
			}
			count := storetest.Nth(0, store.Before)
			w.must(run("count", count))
			for i := 1; i <= count.Passed(); i++ {
				for _, when := range []store.When{store.Before, store.After} {
					if err := run(fmt.Sprintf("n-%d-%v", i, when), storetest.Nth(i, when)); !errors.Is(err, storetest.ErrInjected) {
						t.Errorf("%v write %d: %v", when, i, err)
					}
				}
			}
		})
	}
}
