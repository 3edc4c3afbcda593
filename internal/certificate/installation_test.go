package certificate_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/audit"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/issuance"
	"coffer/internal/issuer/selfsigned"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// beginning is the last of a month, where a month has no last of its own.
var beginning = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

// installation is the service over the real store, seal and codec. Of its vaults near is of the tenant of home, far of another.
type installation struct {
	testing.TB
	db      *store.DB
	sealer  *seal.Sealer
	service *certificate.Service
	secrets *secret.Service
	grants  *accesstest.Grants

	home, near, far *vault.Vault

	seconds   atomic.Int64                    // since beginning
	fault     atomic.Pointer[storetest.Fault] // injected into every write
	issuer    atomic.Pointer[issuerFunc]      // the provider "Test"
	meanwhile atomic.Pointer[func()]          // runs while a key is being made
	wakes     atomic.Int64

	mu       sync.Mutex
	enrolled []issuance.Operation          // guarded by mu
	differed []*audit.DifferenceProperties // guarded by mu; of each of them
}

type issuerFunc func(issuance.Order) (issuance.Answer, error)

func (f issuerFunc) Begin(context.Context, issuance.Order) (issuance.Answer, error) {
	return issuance.Pending{State: seal.NewValue([]byte("begun"))}, nil
}

func (f issuerFunc) Continue(_ context.Context, o issuance.Order, _ seal.Value) (issuance.Answer, error) {
	return f(o)
}

func newInstallation(t testing.TB, change ...func(*certificate.Config)) *installation {
	t.Helper()
	return newInstallationIn(t, storetest.SQLite, change...)
}

// newInstallationIn is newInstallation over the database of a place.
func newInstallationIn(t testing.TB, place func(testing.TB) store.Config, change ...func(*certificate.Config)) *installation {
	t.Helper()
	w := &installation{TB: t, grants: accesstest.New(t)}
	cfg := place(t)
	cfg.Faults = func(point string, when store.When) error {
		if f := w.fault.Load(); f != nil {
			return f.Hook(point, when)
		}
		return nil
	}
	w.db = storetest.Open(t, cfg)
	root, err := seal.CreateRootFile(filepath.Join(t.TempDir(), "root.key"), seal.Value{}, beginning)
	if err != nil {
		t.Fatal(err)
	}
	w.sealer = seal.NewSealer(root, store.For[seal.Tx]{DB: w.db}, w.now)
	for _, v := range []struct {
		to           **vault.Vault
		name, tenant string
	}{{&w.home, "home", "tenant-1"}, {&w.near, "near", "tenant-1"}, {&w.far, "far", "tenant-2"}} {
		*v.to = storetest.NewVault(t, w.db, vault.Vault{Name: v.name, TenantID: v.tenant}, w.now())
		// The data key is made now, so that tests which count writes do not see it.
		if _, err := w.sealer.Seal(t.Context(), seal.Place{Vault: (*v.to).ID}, seal.Value{}); err != nil {
			t.Fatal(err)
		}
	}
	c := certificate.Config{
		DB: store.For[certificate.Tx]{DB: w.db}, Sealer: w.sealer, Keys: w, Now: w.now, Logger: slog.New(slog.DiscardHandler),
		Issuers: map[string]issuance.Issuer{"self": selfsigned.Issuer{}, "test": issuerFunc(func(o issuance.Order) (issuance.Answer, error) {
			if f := w.issuer.Load(); f != nil {
				return (*f)(o)
			}
			return nil, errors.New("the provider is away")
		})},
		Wake: func() { w.wakes.Add(1) },
		Record: func(*issuance.Operation, string) (func(*issuance.Operation, *audit.DifferenceProperties, error), error) {
			return func(op *issuance.Operation, differences *audit.DifferenceProperties, err error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if err == nil {
					w.enrolled, w.differed = append(w.enrolled, *op), append(w.differed, differences)
				}
			}, nil
		},
	}
	for _, f := range change {
		f(&c)
	}
	if w.service, err = certificate.NewService(c); err != nil {
		t.Fatal(err)
	}
	w.secrets, err = secret.NewService(secret.Config{DB: store.For[secret.Tx]{DB: w.db}, Sealer: w.sealer, Now: w.now, Fresh: fresh.Source{Commits: w.db.Commits()},
		ToPEM: func(seal.Value) (seal.Value, error) { return seal.Value{}, errors.New("nobody asks for another form") }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *installation) now() time.Time {
	return beginning.Add(time.Duration(w.seconds.Load()) * time.Second)
}

func (w *installation) pass(d time.Duration) { w.seconds.Add(int64(d / time.Second)) }

// Generate implements certificate.Keys. RSA keys take long to make; one serves
// all tests.
func (w *installation) Generate(_ context.Context, spec pki.KeySpec) (crypto.Signer, error) {
	if f := w.meanwhile.Swap(nil); f != nil {
		(*f)()
	}
	if spec.Algorithm == pki.RSA {
		return rsaKey(), nil
	}
	return pki.Generate(spec)
}

var rsaKey = sync.OnceValue(func() crypto.Signer {
	k, err := pki.Generate(pki.KeySpec{Algorithm: pki.RSA, Size: 2048})
	if err != nil {
		panic(err)
	}
	return k
})

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

func ptr[T any](v T) *T { return &v }

// selfPolicy asks for a small self-signed certificate.
func selfPolicy() *issuance.Patch {
	return &issuance.Patch{
		Key:    issuance.KeyPatch{Type: ptr("EC")},
		X509:   issuance.X509Patch{Subject: ptr("CN=www.example.net"), SANs: &issuance.SANs{DNSNames: []string{"www.example.net"}}},
		Issuer: issuance.IssuerPatch{Name: ptr("Self")},
	}
}

// policyOf is selfPolicy with another issuer.
func policyOf(issuer string) *issuance.Patch {
	p := selfPolicy()
	p.Issuer.Name = &issuer
	return p
}

func (w *installation) create(name string, p certificate.CreateParams) (*issuance.Operation, error) {
	return w.service.Create(w.Context(), w.grant(access.CertificateCreate, name), p)
}

// begin creates with a policy and must succeed.
func (w *installation) begin(name string, p *issuance.Patch) *issuance.Operation {
	w.Helper()
	op, err := w.create(name, certificate.CreateParams{Policy: p})
	w.must(err)
	return op
}

// claim leases the job of a name's operation, like the runner.
func (w *installation) claim() []jobs.Job {
	w.Helper()
	var list []jobs.Job
	w.must(w.db.Update(w.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.ClaimJobs(w.Context(), []jobs.Kind{certificate.IssueJob}, w.now(), w.now(), w.now().Add(time.Minute), 100)
		return err
	}))
	return list
}

// work does every job that is due, and answers the errors.
func (w *installation) work() error {
	w.Helper()
	var errs []error
	for _, j := range w.claim() {
		errs = append(errs, w.service.Issue(w.Context(), j))
	}
	return errors.Join(errs...)
}

// issued creates a self-signed certificate and waits for it.
func (w *installation) issued(name string, p *issuance.Patch) *certificate.Bundle {
	w.Helper()
	w.begin(name, p)
	w.must(w.work())
	return w.get(name)
}

func (w *installation) get(name string) *certificate.Bundle {
	w.Helper()
	b, err := w.service.Get(w.Context(), w.grant(access.CertificateGet, name), "")
	w.must(err)
	// Whether it is kept says nothing of the certificate.
	return &certificate.Bundle{Certificate: b.Certificate, Version: b.Version}
}

func (w *installation) operation(name string) *issuance.Operation {
	w.Helper()
	op, err := w.service.Operation(w.Context(), w.grant(access.CertificatePendingGet, name), "")
	w.must(err)
	return op
}

func (w *installation) remove(name string) *certificate.Bundle {
	w.Helper()
	b, err := w.service.Delete(w.Context(), w.grant(access.CertificateDelete, name))
	w.must(err)
	return b
}

func (w *installation) recover(name string) *certificate.Bundle {
	w.Helper()
	b, err := w.service.Recover(w.Context(), w.grant(access.CertificateRecover, name))
	w.must(err)
	return b
}

func (w *installation) purge(name string) error {
	return w.service.Purge(w.Context(), w.grant(access.CertificatePurge, name))
}

func (w *installation) merge(name string, p certificate.MergeParams) (*certificate.Bundle, error) {
	return w.service.Merge(w.Context(), w.grant(access.CertificatePendingMerge, name), p)
}

func (w *installation) importing(name string, p certificate.ImportParams) (*certificate.Bundle, error) {
	return w.service.Import(w.Context(), w.grant(access.CertificateImport, name), p)
}

func (w *installation) cancel(name string, requested bool) (*issuance.Operation, error) {
	return w.service.CancelOperation(w.Context(), w.grant(access.CertificatePendingUpdate, name), "", requested)
}

// secret reads the value of a name's secret, in the stored form.
func (w *installation) secret(name string) string {
	w.Helper()
	b, err := w.secrets.Get(w.Context(), w.grant(access.SecretGet, name), "", "")
	w.must(err)
	return string(b.Value.Reveal())
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

// dump is all that is stored of a name, to be compared.
func (w *installation) dump(name string) string {
	w.Helper()
	n, v, ctx := object.MustName(name), w.home.ID, w.Context()
	var out strings.Builder
	// %+v shows addresses of pointers; what they point at is shown instead.
	date := func(a object.Attributes) string {
		s := fmt.Sprint(a.Enabled, a.Created, a.Updated)
		for _, t := range []*time.Time{a.NotBefore, a.Expires} {
			if t != nil {
				s += " " + t.String()
			}
		}
		return s
	}
	w.must(w.db.View(ctx, func(tx *store.Tx) error {
		if c, err := tx.Certificate(ctx, v, n); err == nil {
			fmt.Fprintln(&out, "head", c.Head.Name, c.Head.Current, c.Head.Deletion != nil, c.Policy.X509.Subject, c.Policy.Updated)
		}
		certs, _ := tx.CertificateVersions(ctx, v, n, object.Page{})
		for _, c := range certs {
			fmt.Fprintf(&out, "certificate %s %v %x %x %s %v %v\n", c.Version, c.Completed, c.Leaf, c.Chain, date(c.Attributes), c.Tags, c.NextAction)
		}
		keys, _ := tx.KeyVersions(ctx, v, n, object.Page{})
		for _, k := range keys {
			fmt.Fprintf(&out, "key %s %x %v %s\n", k.Version, k.Private, k.Ops, date(k.Attributes))
		}
		secrets, _ := tx.SecretVersions(ctx, v, n, object.Page{})
		for _, s := range secrets {
			fmt.Fprintf(&out, "secret %s %x %s %s\n", s.Version, s.Value, s.Previous, date(s.Attributes))
		}
		if op, err := tx.Operation(ctx, v, n); err == nil {
			fmt.Fprintf(&out, "operation %s %s %v %x %v\n", op.RequestID, op.Status, op.CancellationRequested, op.Private, op.Tags)
		}
		all, err := tx.Jobs(ctx)
		for _, j := range all {
			if j.Name == n.Key() {
				fmt.Fprintln(&out, "job", j.Ref)
			}
		}
		return err
	}))
	return out.String()
}

// hidden is text as a secret travels.
func hidden(text string) seal.Value { return seal.NewValue([]byte(text)) }
