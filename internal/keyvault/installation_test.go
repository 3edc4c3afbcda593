package keyvault_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/authn"
	"coffer/internal/certificate"
	"coffer/internal/fresh"
	"coffer/internal/issuance"
	"coffer/internal/issuer/selfsigned"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/key/keytest"
	"coffer/internal/keyvault"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// installation is a vault with everything behind the door that production has, except
// for tokens: "Bearer ann" is Ann's. Time stands still until a test moves it.
type installation struct {
	handler      *keyvault.Server
	config       keyvault.Config
	db           *store.DB
	certificates *certificate.Service
	rules        certificate.Config // what certificates is made of
	keys         *key.Service
	hsm          *keytest.HSM // of the premium vault
	assignments  *access.Assignments
	auditPath    string
	log          *strings.Builder // of the operator
	logger       *slog.Logger
	now          time.Time
}

var beginning = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

const (
	tenant  = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	annID   = "11111111-1111-1111-1111-111111111111" // may everything in vault dev
	benID   = "22222222-2222-2222-2222-222222222222" // may read certificates in dev
	carlID  = "33333333-3333-3333-3333-333333333333" // is known, and may nothing
	testApp = "00001111-aaaa-2222-bbbb-3333cccc4444"
)

// people are the callers that the fake verifier knows.
var people = map[string]access.Caller{
	"ann":  {TenantID: tenant, ObjectID: annID, AppID: testApp, Issuer: "https://issuer.test/"},
	"ben":  {TenantID: tenant, ObjectID: benID, AppID: testApp, Issuer: "https://issuer.test/"},
	"carl": {TenantID: tenant, ObjectID: carlID, AppID: testApp, Issuer: "https://issuer.test/"},
}

type verifier struct{}

func (verifier) Verify(_ context.Context, authorization string, audiences []string, tenantID string) (access.Caller, error) {
	name, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return access.Caller{}, &authn.Refusal{Code: authn.NoToken, Msg: "Request is missing a Bearer or PoP token."}
	}
	if name == "crash" {
		panic("the verifier fell over")
	}
	if name == "broken" {
		return access.Caller{}, errors.New("the directory of 10.0.0.7 is down")
	}
	c, ok := people[name]
	if !ok || tenantID != tenant || len(audiences) == 0 {
		return access.Caller{}, &authn.Refusal{Code: authn.WrongSigner, Msg: "The signature does not verify."}
	}
	return c, nil
}

// keyring gives prepared RSA keys, which take long to make, in turn.
type keyring struct{}

func (keyring) Generate(_ context.Context, spec pki.KeySpec) (crypto.Signer, error) {
	if spec.Algorithm == pki.RSA && spec.Size == 2048 {
		return testRSA(), nil
	}
	return pki.Generate(spec)
}

var testRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newInstallation(t testing.TB) *installation { return newInstallationWith(t, keyring{}) }

func newInstallationWith(t testing.TB, keys certificate.Keys) *installation {
	t.Helper()
	dir := t.TempDir()
	w := &installation{now: beginning, hsm: &keytest.HSM{}, auditPath: filepath.Join(dir, "audit.log"), log: &strings.Builder{}}
	w.logger = slog.New(slog.NewTextHandler(w.log, nil))
	clock := func() time.Time { return w.now }
	ctx := t.Context()

	var err error
	if w.db, err = store.Open(ctx, store.Config{Driver: store.SQLite, Path: filepath.Join(dir, "coffer.db"), Create: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	storetest.Authenticate(w.db)
	root, err := seal.CreateRootFile(filepath.Join(dir, "root.key"), seal.Value{}, clock())
	if err != nil {
		t.Fatal(err)
	}
	sealer := seal.NewSealer(root, store.For[seal.Tx]{DB: w.db}, clock)
	registry := vault.NewRegistry(store.For[vault.Tx]{DB: w.db}, fresh.Source{Commits: w.db.Commits()})
	for _, v := range vaults() {
		err := w.db.Update(ctx, func(tx *store.Tx) error { return tx.InsertVault(ctx, v) })
		if err != nil {
			t.Fatal(err)
		}
	}
	w.assignments = access.NewAssignments(store.For[access.Tx]{DB: w.db}, fresh.Source{Commits: w.db.Commits()})
	w.rules = certificate.Config{
		DB: store.For[certificate.Tx]{DB: w.db}, Sealer: sealer, Keys: keys, Now: clock, Logger: w.logger, Device: w.hsm,
		Issuers: map[string]issuance.Issuer{"self": selfsigned.Issuer{}},
		Record: func(*issuance.Operation, string) (func(*issuance.Operation, *audit.DifferenceProperties, error), error) {
			return func(*issuance.Operation, *audit.DifferenceProperties, error) {}, nil
		},
	}
	if w.certificates, err = certificate.NewService(w.rules); err != nil {
		t.Fatal(err)
	}
	w.keys, err = key.NewService(key.Config{
		DB: store.For[key.Tx]{DB: w.db}, Sealer: sealer, Maker: keys, Now: clock, Logger: w.logger, KeepOpen: time.Minute, Device: w.hsm,
		Fresh:  fresh.Source{Commits: w.db.Commits()},
		Record: func(object.Head, string) (func(*key.Bundle, error), error) { return func(*key.Bundle, error) {}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := secret.NewService(secret.Config{DB: store.For[secret.Tx]{DB: w.db}, Sealer: sealer, Now: clock, ToPEM: toPEM, Fresh: fresh.Source{Commits: w.db.Commits()}})
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(audit.Config{Path: w.auditPath, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	w.config = keyvault.Config{
		Certificates: w.certificates,
		Keys:         w.keys,
		Secrets:      secrets,
		Fresh:        fresh.Source{Commits: w.db.Commits()},
		Vaults:       registry, Verifier: verifier{}, Gate: access.NewGate(access.GateConfig{Rules: w.assignments}), Sealer: sealer,
		Recorder: access.NewRecorder(log), Logger: w.logger, Now: clock,
		Challenge: func(host string, v *vault.Vault) string {
			_, suffix, _ := strings.Cut(host, ".")
			return `Bearer authorization="https://login.test/` + v.TenantID + `", resource="https://` + suffix + `"`
		},
		Audiences:    func(host string) []string { return []string{"https://vault.azure.net"} },
		DefaultVault: "dev", ServiceVersion: "1.9.2600.1",
	}
	w.serve(t)
	return w
}

// serve makes the handler anew, after a change of the configuration.
func (w *installation) serve(t testing.TB) {
	t.Helper()
	var err error
	if w.handler, err = keyvault.New(w.config); err != nil {
		t.Fatal(err)
	}
}

// vaults are dev, where access policies count, team, where deleted objects are
// protected, closed, which its firewall shuts, roles, where roles count, and hsm,
// which is premium.
func vaults() []*vault.Vault {
	all := vault.AccessPolicy{TenantID: tenant, ObjectID: annID,
		Certificates: []string{"all"}, Keys: []string{"all"}, Secrets: []string{"all"}}
	reads := vault.AccessPolicy{TenantID: tenant, ObjectID: benID, Certificates: []string{"get", "list"}}
	base := vault.Vault{
		TenantID: tenant, Subscription: "00000000-0000-0000-0000-000000000001", ResourceGroup: "local", Location: "local",
		SKU: vault.Standard, RetentionDays: 90, AccessPolicies: []vault.AccessPolicy{all, reads},
		Created: beginning, Updated: beginning, Revision: 1,
	}
	dev, team, closed := base, base, base
	dev.ID, dev.Name = object.NewVaultID(), "dev"
	team.ID, team.Name, team.RetentionDays, team.PurgeProtection = object.NewVaultID(), "team", 7, true
	closed.ID, closed.Name, closed.Network = object.NewVaultID(), "closed", vault.NetworkRules{DefaultDeny: true}
	roles := base
	roles.ID, roles.Name, roles.RBAC, roles.AccessPolicies = object.NewVaultID(), "roles", true, nil
	premium := base
	premium.ID, premium.Name, premium.SKU = object.NewVaultID(), "hsm", vault.Premium
	return []*vault.Vault{&dev, &team, &closed, &roles, &premium}
}

// work does all jobs that are due, as the background would.
func (w *installation) work(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	var took []jobs.Job
	err := w.db.Update(ctx, func(tx *store.Tx) (err error) {
		took, err = tx.ClaimJobs(ctx, []jobs.Kind{certificate.IssueJob, key.RotateJob, key.NoticeJob, key.DestroyJob}, w.now, w.now, w.now.Add(time.Minute), 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range took {
		do := map[jobs.Kind]jobs.Handler{
			certificate.IssueJob: w.certificates.Issue, key.RotateJob: w.keys.RotateDue, key.NoticeJob: w.keys.Announce,
			key.DestroyJob: w.keys.DestroyInHSM,
		}[j.Kind]
		if err := do(ctx, j); err != nil {
			t.Fatal(err)
		}
	}
}

// toPEM is the conversion that the wiring gives, made from another library.
func toPEM(pfx seal.Value) (seal.Value, error) {
	der, err := base64.StdEncoding.DecodeString(string(pfx.Reveal()))
	if err != nil {
		return seal.Value{}, err
	}
	private, leaf, chain, err := pkcs12.DecodeChain(der, "")
	if err != nil {
		return seal.Value{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return seal.Value{}, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	for _, c := range append([]*x509.Certificate{leaf}, chain...) {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return seal.NewValue(out), nil
}

// outside is a CA that does not belong to us, made with crypto/x509.
type outside struct {
	private *ecdsa.PrivateKey
	cert    *x509.Certificate
}

var testCA = sync.OnceValue(func() outside {
	k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Outside CA"},
		NotBefore: beginning.AddDate(-1, 0, 0), NotAfter: beginning.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, k.Public(), k))
	return outside{k, must(x509.ParseCertificate(der))}
})

// sign makes a certificate for a CSR, or for any public key.
func (o outside) sign(public crypto.PublicKey, name string, from, to time.Time) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: []string{name},
	}
	return must(x509.CreateCertificate(rand.Reader, template, o.cert, public, o.private))
}

// material is a certificate with its key, as users import it.
type material struct {
	pfx, pem, keyless, expired, leaf string
	beyond                           string // PEM with a name of 210 characters, until 9999: no create may ask for that
}

var testMaterial = sync.OnceValue(func() material {
	k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	ca := testCA()
	der := ca.sign(k.Public(), "shop.example.net", beginning.AddDate(0, 0, -1), beginning.AddDate(0, 3, -1))
	leaf := must(x509.ParseCertificate(der))
	pfx := must(pkcs12.Modern.Encode(k, leaf, []*x509.Certificate{ca.cert}, "123"))
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(k))})
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	old := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: ca.sign(k.Public(), "old", beginning.AddDate(-2, 0, 0), beginning.AddDate(-1, 0, 0))})
	beyond := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: ca.sign(k.Public(), strings.Repeat("n", 210), beginning, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))})
	return material{
		beyond: string(private) + string(beyond),
		pfx:    base64.StdEncoding.EncodeToString(pfx), pem: string(private) + string(cert), keyless: string(cert),
		expired: string(private) + string(old), leaf: base64.StdEncoding.EncodeToString(der),
	}
})
