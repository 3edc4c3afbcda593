package key_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// beginning is the last of a month, where a month has no last of its own.
var beginning = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

// installation is the service over the real store and seal. Of its vaults near is of the tenant of home, far of another.
type installation struct {
	testing.TB
	db      *store.DB
	sealer  *seal.Sealer
	service *key.Service
	grants  *accesstest.Grants
	outbox  *outbox.Outbox
	log     bytes.Buffer // of the operator

	home, near, far, premium, protected *vault.Vault

	seconds    atomic.Int64                    // since beginning
	fault      atomic.Pointer[storetest.Fault] // injected into every write
	meanwhile  atomic.Pointer[func()]          // runs while a key is being made
	opens      atomic.Int64                    // boxes that were opened
	pairs      atomic.Int64                    // keys that were made
	wakes      atomic.Int64
	unrecorded atomic.Bool // nothing can be recorded

	mu      sync.Mutex
	rotated []key.Bundle // guarded by mu
}

var errUnrecorded = errors.New("nothing can be recorded")

// Open counts, and opens.
func (w *installation) Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error) {
	w.opens.Add(1)
	return w.sealer.Open(ctx, p, b)
}

func (w *installation) Seal(ctx context.Context, p seal.Place, plain seal.Value) (seal.Box, error) {
	return w.sealer.Seal(ctx, p, plain)
}

func newInstallation(t testing.TB, change ...func(*key.Config)) *installation {
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
	root, err := seal.CreateRootFile(filepath.Join(t.TempDir(), "root.key"), seal.Value{}, beginning)
	if err != nil {
		t.Fatal(err)
	}
	w.sealer = seal.NewSealer(root, store.For[seal.Tx]{DB: w.db}, w.now)
	for _, v := range []struct {
		to   **vault.Vault
		made vault.Vault
	}{
		{&w.home, vault.Vault{Name: "home", TenantID: "tenant-1"}},
		{&w.near, vault.Vault{Name: "near", TenantID: "tenant-1"}},
		{&w.far, vault.Vault{Name: "far", TenantID: "tenant-2"}},
		{&w.premium, vault.Vault{Name: "premium", TenantID: "tenant-1", SKU: vault.Premium}},
		{&w.protected, vault.Vault{Name: "protected", TenantID: "tenant-1", RetentionDays: 7, PurgeProtection: true}},
	} {
		*v.to = storetest.NewVault(t, w.db, v.made, w.now())
		// The data key is made now, so that tests which count writes do not see it.
		if _, err := w.sealer.Seal(t.Context(), seal.Place{Vault: (*v.to).ID}, seal.Value{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.sealer.Seal(t.Context(), seal.Place{}, seal.Value{}); err != nil {
		t.Fatal(err)
	}
	w.outbox, err = outbox.New(store.For[outbox.DeliveryTx]{DB: w.db}, outbox.Recipient{Name: "log",
		Topics: []outbox.Topic{outbox.KeyNearExpiry}, Sink: outbox.Log{Logger: slog.New(slog.NewTextHandler(&w.log, nil))}})
	if err != nil {
		t.Fatal(err)
	}
	c := key.Config{
		Outbox: w.outbox,
		DB:     store.For[key.Tx]{DB: w.db}, Sealer: w, Maker: w, Now: w.now, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
		KeepOpen: time.Minute, Fresh: fresh.Source{Commits: w.db.Commits()},
		Wake: func() { w.wakes.Add(1) },
		Record: func(object.Head, string) (func(*key.Bundle, error), error) {
			if w.unrecorded.Load() {
				return nil, errUnrecorded
			}
			return func(b *key.Bundle, err error) {
				if err != nil {
					return
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				w.rotated = append(w.rotated, *b)
			}, nil
		},
	}
	for _, f := range change {
		f(&c)
	}
	if w.service, err = key.NewService(c); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *installation) now() time.Time {
	return beginning.Add(time.Duration(w.seconds.Load()) * time.Second)
}

func (w *installation) pass(d time.Duration) { w.seconds.Add(int64(d / time.Second)) }

// Generate implements key.Maker. RSA keys take long to make; a few serve all
// tests.
func (w *installation) Generate(_ context.Context, spec pki.KeySpec) (crypto.Signer, error) {
	w.pairs.Add(1)
	if f := w.meanwhile.Swap(nil); f != nil {
		(*f)()
	}
	if spec.Algorithm == pki.RSA && spec.Size == 2048 {
		return rsaKeys()[int(turn.Add(1))%2], nil
	}
	return pki.Generate(spec)
}

var (
	turn    atomic.Int64
	rsaKeys = sync.OnceValue(func() (keys []crypto.Signer) {
		for range 2 {
			k, err := pki.Generate(pki.KeySpec{Algorithm: pki.RSA, Size: 2048})
			if err != nil {
				panic(err)
			}
			keys = append(keys, k)
		}
		return keys
	})
)

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

func (w *installation) create(name string, p key.CreateParams) (*key.Bundle, error) {
	return w.service.Create(w.Context(), w.grant(access.KeyCreate, name), p)
}

// made creates a key of a type and must succeed.
func (w *installation) made(name, kty string, change ...func(*key.CreateParams)) *key.Bundle {
	w.Helper()
	p := key.CreateParams{Type: kty}
	for _, f := range change {
		f(&p)
	}
	b, err := w.create(name, p)
	w.must(err)
	return b
}

func (w *installation) get(name string) *key.Bundle {
	w.Helper()
	b, err := w.service.Get(w.Context(), w.grant(access.KeyGet, name), "")
	w.must(err)
	return b
}

func (w *installation) update(name string, ver object.Version, p key.Given) (*key.Bundle, error) {
	return w.service.Update(w.Context(), w.grant(access.KeyUpdate, name), ver, key.UpdateParams{Given: p})
}

func (w *installation) remove(name string) *key.Bundle {
	w.Helper()
	b, err := w.service.Delete(w.Context(), w.grant(access.KeyDelete, name))
	w.must(err)
	return b
}

func (w *installation) purge(name string) error {
	return w.service.Purge(w.Context(), w.grant(access.KeyPurge, name))
}

func (w *installation) backup(name string) string {
	w.Helper()
	value, err := w.service.Backup(w.Context(), w.grant(access.KeyBackup, name))
	w.must(err)
	return value
}

func (w *installation) restore(v *vault.Vault, value string) (*key.Bundle, error) {
	b, err := w.service.OpenBackup(w.Context(), v, value)
	if err != nil {
		return nil, err
	}
	return w.service.Restore(w.Context(), w.grantIn(v, access.KeyRestore, b.Name().String()), b)
}

func (w *installation) setPolicy(name string, p key.PolicyParams) error {
	_, _, err := w.service.SetRotationPolicy(w.Context(), w.grant(access.KeyRotationPolicySet, name), p)
	return err
}

// rotation asks for a rotation this long after the creation.
func rotation(after string) key.PolicyParams {
	return key.PolicyParams{Actions: []key.ActionParams{{Type: "Rotate", AfterCreate: &after}}}
}

// words are the operations with what the gate calls them.
var words = map[key.Op]access.Action{
	key.Encrypt: access.KeyEncrypt, key.Decrypt: access.KeyDecrypt, key.WrapKey: access.KeyWrap, key.UnwrapKey: access.KeyUnwrap,
	key.Sign: access.KeySign, key.Verify: access.KeyVerify,
}

// use does one operation on the current version.
func (w *installation) use(name string, op key.Op, alg string, value, signature []byte) ([]byte, error) {
	w.Helper()
	return w.useWith(w.grant(words[op], name), "", op, alg, value, signature)
}

func (w *installation) useWith(g access.Grant, ver object.Version, op key.Op, alg string, value, signature []byte) ([]byte, error) {
	w.Helper()
	a, ok := key.ParseAlgorithm(alg, op)
	if !ok {
		w.Fatalf("%s does not %s", alg, op)
	}
	p := key.UseParams{Op: op, Algorithm: a, Value: value, Signature: signature,
		KeyID: func(n object.Name, v object.Version) string {
			return "https://here/keys/" + n.String() + "/" + string(v)
		}}
	var u *key.Used
	var err error
	switch op {
	case key.Encrypt, key.WrapKey:
		u, err = w.service.Encrypt(w.Context(), g, ver, p)
	case key.Decrypt, key.UnwrapKey:
		u, err = w.service.Decrypt(w.Context(), g, ver, p)
	case key.Sign:
		u, err = w.service.Sign(w.Context(), g, ver, p)
	default:
		valid, err := w.service.Verify(w.Context(), g, ver, p)
		if valid {
			return []byte("valid"), err
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return u.Value.Reveal(), nil
}

// imported are the components of a key that was made outside.
func imported(k crypto.Signer) key.ImportParams {
	curve := func(name string, point, d []byte) key.ImportParams {
		half := len(point) / 2
		return key.ImportParams{Type: "EC", Curve: &name, X: point[1 : 1+half], Y: point[1+half:], D: seal.NewValue(d)}
	}
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return key.ImportParams{Type: "RSA", N: k.N.Bytes(), E: big.NewInt(int64(k.E)).Bytes(), D: seal.NewValue(k.D.Bytes()),
			P: seal.NewValue(k.Primes[0].Bytes()), Q: seal.NewValue(k.Primes[1].Bytes())}
	case *ecdsa.PrivateKey:
		point, err := k.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		d, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		return curve(k.Params().Name, point, d)
	case *pki.P256KPrivateKey:
		return curve("P-256K", k.Public().(*pki.P256KPublicKey).Bytes(), k.Bytes())
	}
	panic("unknown key")
}

func (w *installation) importing(name string, p key.ImportParams) (*key.Bundle, error) {
	return w.service.Import(w.Context(), w.grant(access.KeyImport, name), p)
}

// claim leases the jobs that are due, like the runner.
func (w *installation) claim() []jobs.Job {
	w.Helper()
	var list []jobs.Job
	w.must(w.db.Update(w.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.ClaimJobs(w.Context(), []jobs.Kind{key.RotateJob, key.NoticeJob, outbox.DeliverJob}, w.now(), w.now(), w.now().Add(time.Minute), 100)
		return err
	}))
	return list
}

// work does every job that is due, with what follows from it at once, and answers
// the errors.
func (w *installation) work() error {
	w.Helper()
	var errs []error
	for range 2 {
		for _, j := range w.claim() {
			errs = append(errs, w.do(j))
		}
	}
	return errors.Join(errs...)
}

func (w *installation) do(j jobs.Job) error {
	switch j.Kind {
	case key.NoticeJob:
		return w.service.Announce(w.Context(), j)
	case outbox.DeliverJob:
		return w.outbox.Spec().Run(w.Context(), j)
	}
	return w.service.RotateDue(w.Context(), j)
}

// dueAt is when the job of a kind is due for a name; zero: there is none.
func (w *installation) dueAt(kind jobs.Kind, name string) (at time.Time) {
	w.Helper()
	w.must(w.db.View(w.Context(), func(tx *store.Tx) error {
		list, err := tx.Jobs(w.Context())
		for _, j := range list {
			if j.Kind == kind && j.Name == name {
				if !at.IsZero() {
					w.Errorf("%s has two jobs %s", name, kind)
				}
				at = j.Due
			}
		}
		return err
	}))
	return at
}

func (w *installation) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// refused checks an error for its kind, its reason and what its text holds.
func (w *installation) refused(err error, kind fault.Kind, reason fault.Reason, text string) {
	w.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Reason != reason || !strings.Contains(e.Msg, text) {
		w.Errorf("got error %v, want kind %d, %q with %q", err, kind, reason, text)
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
	w.must(w.db.View(ctx, func(tx *store.Tx) error {
		if h, err := tx.KeyHead(ctx, v, n); err == nil {
			fmt.Fprintln(&out, "head", h.Name, h.Current, h.Deletion != nil)
		}
		keys, _ := tx.KeyVersions(ctx, v, n, object.Page{})
		for _, k := range keys {
			fmt.Fprintf(&out, "key %s %x %v %v", k.Version, k.Private, k.Ops, k.Tags)
			fmt.Fprint(&out, k.Attributes.Enabled, k.Attributes.Created, k.Attributes.Updated)
			for _, t := range []*time.Time{k.Attributes.NotBefore, k.Attributes.Expires} {
				if t != nil {
					fmt.Fprint(&out, " ", *t)
				}
			}
			fmt.Fprintln(&out)
		}
		if p, err := tx.RotationPolicy(ctx, v, n); err == nil {
			fmt.Fprintf(&out, "policy %+v\n", *p)
		}
		all, err := tx.Jobs(ctx)
		for _, j := range all {
			if j.Vault == v && j.Name == n.Key() {
				fmt.Fprintln(&out, "job", j.Kind, j.Due)
			}
		}
		return err
	}))
	return out.String()
}
