package storetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/certificate"
	"coffer/internal/hsm"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/vault"
)

var epoch = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// suite is one test of the conformance suite with its database.
type suite struct {
	*testing.T
	ctx context.Context
	cfg store.Config
	db  *store.DB
}

func newSuite(t *testing.T, cfg store.Config) *suite {
	return &suite{T: t, ctx: t.Context(), cfg: cfg, db: Open(t, cfg)}
}

// update runs fn, which fails the test itself.
func (s *suite) update(fn func(tx *store.Tx)) {
	s.Helper()
	s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { fn(tx); return nil }))
}

func (s *suite) view(fn func(tx *store.Tx)) {
	s.Helper()
	s.must(s.db.View(s.ctx, func(tx *store.Tx) error { fn(tx); return nil }))
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) wantErr(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("got error %v, want %v", err, want)
	}
}

// byValue compares names, which have no exported fields. Empty and nil lists
// differ, as they do for the callers of the store.
var byValue = cmp.Comparer(func(a, b object.Name) bool { return a == b })

// same compares what was read with what was written.
func same[T any](s *suite, got T, err error, want T) {
	s.Helper()
	s.must(err)
	if d := cmp.Diff(want, got, byValue); d != "" {
		s.Errorf("(-want +got)\n%s", d)
	}
}

// vault makes a vault.
func (s *suite) vault(name string) object.VaultID {
	s.Helper()
	id := object.NewVaultID()
	s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { return insertVault(s.ctx, tx, id, name) }))
	return id
}

func newVault(id object.VaultID, name string) *vault.Vault {
	return &vault.Vault{ID: id, Name: name, SKU: vault.Standard, RetentionDays: 90, Created: epoch, Updated: epoch, Revision: 1}
}

// selfSigned is one key and a certificate of it: which ones does not matter to
// the store, only that they belong together.
var selfSigned = sync.OnceValues(func() (leaf, public []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web"}, NotBefore: epoch, NotAfter: epoch.AddDate(1, 0, 0)}
	if leaf, err = x509.CreateCertificate(rand.Reader, template, template, k.Public(), k); err != nil {
		panic(err)
	}
	if public, err = x509.MarshalPKIXPublicKey(k.Public()); err != nil {
		panic(err)
	}
	return leaf, public
})

// attributes have every field set.
func attributes() object.Attributes {
	from, to := epoch.Add(-time.Hour), epoch.AddDate(1, 0, 0)
	return object.Attributes{Enabled: true, NotBefore: &from, Expires: &to, Created: epoch, Updated: epoch.Add(time.Minute)}
}

func policy() *issuance.Policy {
	return &issuance.Policy{
		Key:         issuance.KeyProps{Type: "EC", Size: 256, Curve: pki.P256, Exportable: true},
		ContentType: issuance.PKCS12,
		X509:        issuance.X509Props{Subject: "CN=web", SANs: &issuance.SANs{DNSNames: []string{"web.example.com"}}, EKUs: []string{}, ValidityMonths: 12},
		Issuer:      issuance.IssuerRef{Name: issuance.Self},
		Enabled:     true,
		Created:     epoch,
		Updated:     epoch,
	}
}

// versionID is a version string that tells its number.
func versionID(n int) object.Version { return object.Version(fmt.Sprintf("%032x", n)) }

func newCertificate(v object.VaultID, n object.Name, ver object.Version) *certificate.Version {
	leaf, _ := selfSigned()
	thumbprint := sha1.Sum(leaf)
	return &certificate.Version{Vault: v, Name: n, Version: ver, Completed: true, Leaf: leaf, Chain: [][]byte{leaf, {}},
		Thumbprint: thumbprint[:], PreserveOrder: true, Attributes: attributes(), Tags: object.Tags{"team": "a\x00b<&>"},
		NextAction: epoch.AddDate(0, 9, 0)}
}

func newKey(v object.VaultID, n object.Name, ver object.Version) *key.Version {
	_, public := selfSigned()
	return &key.Version{Vault: v, Name: n, Version: ver, Spec: pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256},
		Public: public, Private: Box("key of " + n.Key() + string(ver)), Ops: []key.Op{key.Sign, key.Verify}, Exportable: true,
		Attributes: attributes(), Tags: object.Tags{}}
}

func newSecret(v object.VaultID, n object.Name, ver object.Version) *secret.Version {
	return &secret.Version{Vault: v, Name: n, Version: ver, ContentType: "text/\x00plain; ä", Previous: versionID(99),
		Value: Box("value of " + n.Key() + string(ver)), Attributes: attributes()}
}

func placeholder(v object.VaultID, n object.Name, ver object.Version) *certificate.Version {
	return &certificate.Version{Vault: v, Name: n, Version: ver, Attributes: object.Attributes{Created: epoch, Updated: epoch}}
}

func newOperation(v object.VaultID, n object.Name, id string) *issuance.Operation {
	_, public := selfSigned()
	return &issuance.Operation{Vault: v, Name: n, RequestID: id, Status: issuance.InProgress, Policy: policy(),
		Spec: issuance.IssuerRef{Name: "self"}, CSR: []byte("csr"), Public: public, Private: Box("pending"), HSM: hsm.ID{0, 1},
		Enabled: true, Created: epoch, Updated: epoch}
}

// begin is what create writes: the three heads, a placeholder, the operation and
// its job.
func begin(ctx context.Context, tx *store.Tx, v object.VaultID, n object.Name, id int) error {
	request := string(versionID(id))
	c := &certificate.Certificate{Head: object.Head{Vault: v, Name: n, Current: versionID(id)}, Policy: policy()}
	managed := object.Head{Vault: v, Name: n, Managed: true}
	return errors.Join(
		tx.InsertCertificate(ctx, c), tx.InsertKey(ctx, managed), tx.InsertSecret(ctx, managed),
		tx.InsertVersion(ctx, placeholder(v, n, versionID(id))),
		tx.PutOperation(ctx, newOperation(v, n, request)),
		tx.EnqueueJob(ctx, jobs.Job{ID: string(versionID(id)), Kind: "issue", Vault: v, Name: n.Key(), Ref: request, Due: epoch}),
	)
}

// finish is what completing the operation of begin writes: the version with its
// key and secret instead of the placeholder.
func finish(ctx context.Context, tx *store.Tx, v object.VaultID, n object.Name, id, version int) error {
	op, err := tx.Operation(ctx, v, n)
	if err != nil {
		return err
	}
	op.Status, op.Private, op.HSM = issuance.Completed, nil, hsm.ID{}
	ver := versionID(version)
	c := &certificate.Certificate{Head: object.Head{Vault: v, Name: n, Current: ver}, Policy: policy()}
	managed := object.Head{Vault: v, Name: n, Managed: true, Current: ver}
	return errors.Join(
		tx.DeleteVersion(ctx, v, n, versionID(id)),
		tx.InsertVersion(ctx, newCertificate(v, n, ver)),
		tx.InsertKeyVersion(ctx, newKey(v, n, ver)),
		tx.InsertSecretVersion(ctx, newSecret(v, n, ver)),
		tx.UpdateCertificate(ctx, c), tx.UpdateKeyHead(ctx, managed), tx.UpdateSecretHead(ctx, managed),
		tx.PutOperation(ctx, op),
		tx.DeleteJobs(ctx, "issue", v, op.RequestID),
	)
}

// issued inserts a finished certificate in one transaction.
func issued(ctx context.Context, tx *store.Tx, v object.VaultID, n object.Name, id int) error {
	if err := begin(ctx, tx, v, n, id); err != nil {
		return err
	}
	return finish(ctx, tx, v, n, id, id+1_000_000)
}

// remove soft-deletes the three heads of a name.
func remove(ctx context.Context, tx *store.Tx, v object.VaultID, n object.Name, d *object.Deletion) error {
	w, err := read(ctx, tx, v, n)
	if err != nil {
		return err
	}
	w.cert.Head.Deletion, w.key.Deletion, w.secret.Deletion = d, d, d
	return errors.Join(tx.UpdateCertificate(ctx, w.cert), tx.UpdateKeyHead(ctx, w.key), tx.UpdateSecretHead(ctx, w.secret))
}

func purge(ctx context.Context, tx *store.Tx, v object.VaultID, n object.Name) error {
	return errors.Join(tx.PurgeCertificate(ctx, v, n), tx.PurgeKey(ctx, v, n), tx.PurgeSecret(ctx, v, n))
}
