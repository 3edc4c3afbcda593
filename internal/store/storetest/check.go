package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
)

// CheckVault walks every certificate, key and secret of every vault in one view
// and reports whatever is torn: a current version that is missing, a version
// without its key or secret, heads that disagree, a key that is not the
// certificate's, an operation that nothing will finish, a job that fits no policy,
// rows without an owner. open, when given, is called with every box and its
// place, to open it.
func CheckVault(ctx context.Context, db *store.DB, open ...func(seal.Place, seal.Box) error) []error {
	c := checker{ctx: ctx, open: open}
	err := db.View(ctx, func(tx *store.Tx) error {
		c.tx = tx
		return c.walk()
	})
	if err != nil {
		c.errs = append(c.errs, err)
	}
	return c.errs
}

type checker struct {
	ctx  context.Context
	tx   *store.Tx
	open []func(seal.Place, seal.Box) error
	jobs []jobs.Job
	errs []error
}

func (c *checker) failf(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// walk returns an error only when the store itself fails.
func (c *checker) walk() error {
	orphans, err := c.tx.Orphans(c.ctx)
	if err != nil {
		return err
	}
	for _, o := range orphans {
		c.failf("%s", o)
	}
	if c.jobs, err = c.tx.Jobs(c.ctx); err != nil {
		return err
	}
	if err := c.outbox(); err != nil {
		return err
	}
	vaults, err := c.tx.Vaults(c.ctx)
	if err != nil {
		return err
	}
	for _, v := range vaults {
		for _, deleted := range []bool{false, true} {
			if err := c.vault(v.ID, deleted); err != nil {
				return err
			}
			if err := c.ownSecrets(v.ID, deleted); err != nil {
				return err
			}
			if err := c.ownKeys(v.ID, deleted); err != nil {
				return err
			}
		}
	}
	return c.keyJobs()
}

// outbox: every message is told to somebody, and nobody is told a message that is
// not there.
func (c *checker) outbox() error {
	messages, err := c.tx.Messages(c.ctx)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, j := range c.jobs {
		if j.Kind == outbox.DeliverJob {
			told[j.Ref] = true
		}
	}
	for _, m := range messages {
		if !told[m.ID] {
			c.failf("%s/%s: the message %s of %s has no job", m.Vault, m.Subject.Name, m.ID, m.Topic)
		}
		delete(told, m.ID)
	}
	for id := range told {
		c.failf("a job delivers the message %s, which is not there", id)
	}
	return nil
}

func (c *checker) vault(v object.VaultID, deleted bool) error {
	q := certificate.ListQuery{Page: object.Page{Limit: 100}, Deleted: deleted, Pending: true}
	for {
		list, err := c.tx.Certificates(c.ctx, v, q)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, l := range list {
			if err := c.certificate(v, l.Head.Name); err != nil {
				return fmt.Errorf("%s/%s: %w", v, l.Head.Name, err)
			}
		}
		q.Page.After = list[len(list)-1].Head.Name.Key()
	}
}

// ownSecrets checks the secrets that no certificate owns.
func (c *checker) ownSecrets(v object.VaultID, deleted bool) error {
	read := c.tx.Secrets
	if deleted {
		read = c.tx.DeletedSecrets
	}
	page := object.Page{Limit: 100}
	for {
		list, err := read(c.ctx, v, page)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, l := range list {
			h := l.Head
			page.After = h.Name.Key()
			if h.Managed {
				continue
			}
			at := func(format string, args ...any) { c.failf("%s/%s: "+format, append([]any{v, h.Name}, args...)...) }
			versions, err := c.tx.SecretVersions(c.ctx, v, h.Name, object.Page{})
			if err != nil {
				return err
			}
			for _, ver := range versions {
				c.box(at, secret.ValuePlace(v, h.Name, ver.Version), ver.Value)
			}
			if last := versions[len(versions)-1].Version; last != h.Current {
				at("the current version is %s, the last one %s", h.Current, last)
			}
		}
	}
}

// whole is all that a name has.
type whole struct {
	cert     *certificate.Certificate
	versions []*certificate.Version
	key      object.Head
	keys     []*key.Version
	secret   object.Head
	secrets  []*secret.Version
	op       *issuance.Operation // nil: none
}

func read(ctx context.Context, tx *store.Tx, v object.VaultID, n object.Name) (w whole, err error) {
	if w.cert, err = tx.Certificate(ctx, v, n); err != nil {
		return w, fmt.Errorf("certificate: %w", err)
	}
	if w.versions, err = tx.CertificateVersions(ctx, v, n, object.Page{}); err != nil {
		return w, fmt.Errorf("certificate versions: %w", err)
	}
	if w.key, err = tx.KeyHead(ctx, v, n); err != nil {
		return w, fmt.Errorf("key: %w", err)
	}
	if w.keys, err = tx.KeyVersions(ctx, v, n, object.Page{}); err != nil {
		return w, fmt.Errorf("key versions: %w", err)
	}
	if w.secret, err = tx.SecretHead(ctx, v, n); err != nil {
		return w, fmt.Errorf("secret: %w", err)
	}
	if w.secrets, err = tx.SecretVersions(ctx, v, n, object.Page{}); err != nil {
		return w, fmt.Errorf("secret versions: %w", err)
	}
	if w.op, err = tx.Operation(ctx, v, n); errors.Is(err, object.ErrNotFound) {
		w.op, err = nil, nil
	}
	return w, err
}

func (c *checker) certificate(v object.VaultID, n object.Name) error {
	w, err := read(c.ctx, c.tx, v, n)
	if errors.Is(err, object.ErrNotFound) {
		c.failf("%s/%s: no %v", v, n, err)
		return nil
	}
	if err != nil {
		return err
	}
	at := func(format string, args ...any) { c.failf("%s/%s: "+format, append([]any{v, n}, args...)...) }

	if !w.key.Managed || !w.secret.Managed {
		at("its key and secret are not managed")
	}
	if !sameDeletion(w.cert.Head.Deletion, w.key.Deletion) || !sameDeletion(w.cert.Head.Deletion, w.secret.Deletion) {
		at("the three heads do not agree on deletion")
	}
	completed := 0
	current := (*certificate.Version)(nil)
	for _, ver := range w.versions {
		if ver.Version == w.cert.Head.Current {
			current = ver
		}
		if ver.Completed {
			completed++
			c.version(at, w, ver)
		}
		if ver.Version != w.cert.Head.Current && !ver.NextAction.IsZero() {
			at("version %s is not the current one and has a next action", ver.Version)
		}
	}
	switch placeholders := len(w.versions) - completed; {
	case current == nil:
		at("the current version %q does not exist", w.cert.Head.Current)
	case completed > 0 && placeholders > 0:
		at("it has a placeholder beside %d completed versions", completed)
	case placeholders > 1:
		at("it has %d placeholders", placeholders)
	case completed > 0 && (w.key.Current != current.Version || w.secret.Current != current.Version):
		at("current is %s, of the key %q, of the secret %q", current.Version, w.key.Current, w.secret.Current)
	case completed == 0 && (w.key.Current != "" || w.secret.Current != "" || len(w.keys)+len(w.secrets) > 0):
		at("nothing is completed, and there is a key or a secret")
	}
	if len(w.keys) != completed || len(w.secrets) != completed {
		at("%d completed versions, %d of the key, %d of the secret", completed, len(w.keys), len(w.secrets))
	}
	if w.cert.Policy == nil {
		at("it has no policy")
	}
	if w.cert.Pending != (w.op != nil) {
		at("pending is %v", w.cert.Pending)
	}
	if w.op != nil {
		c.operation(at, w.op)
	}
	return nil
}

func sameDeletion(a, b *object.Deletion) bool {
	return a == nil && b == nil || a != nil && b != nil && a.At.Equal(b.At) && a.PurgeAt.Equal(b.PurgeAt)
}

// version checks a completed version against its key and its secret.
func (c *checker) version(at func(string, ...any), w whole, ver *certificate.Version) {
	k := slices.IndexFunc(w.keys, func(k *key.Version) bool { return k.Version == ver.Version })
	s := slices.IndexFunc(w.secrets, func(s *secret.Version) bool { return s.Version == ver.Version })
	if k < 0 || s < 0 {
		at("version %s lacks its key or its secret", ver.Version)
		return
	}
	public, ok := publicOf(ver.Leaf)
	if !ok || !bytes.Equal(public, w.keys[k].Public) {
		at("version %s: the key is not the certificate's", ver.Version)
	}
	n := w.cert.Head.Name
	c.box(at, key.PrivatePlace(ver.Vault, n, ver.Version), w.keys[k].Private)
	c.box(at, secret.ValuePlace(ver.Vault, n, ver.Version), w.secrets[s].Value)
}

func (c *checker) box(at func(string, ...any), p seal.Place, b seal.Box) {
	if len(b) == 0 {
		at("%s %s is empty", p.Kind, p.Version)
		return
	}
	for _, open := range c.open {
		if err := open(p, b); err != nil {
			at("%s %s: %v", p.Kind, p.Version, err)
		}
	}
}

// operation checks that an unfinished operation can finish. A failed or
// cancelled one keeps its key, because a caller may still merge; a completed one
// has given it away.
func (c *checker) operation(at func(string, ...any), op *issuance.Operation) {
	hasJob := slices.ContainsFunc(c.jobs, func(j jobs.Job) bool { return j.Vault == op.Vault && j.Ref == op.RequestID })
	needsJob := op.Status == issuance.InProgress && !op.Spec.IsUnknown()
	switch {
	case needsJob && !hasJob:
		at("operation %s is in progress and has no job", op.RequestID)
	case !needsJob && hasJob:
		at("operation %s is %s and has a job", op.RequestID, op.Status)
	}
	if op.Order != nil {
		c.box(at, issuance.OrderPlace(op.Vault, op.Name, op.RequestID), op.Order)
	}
	if op.Status != issuance.Completed {
		c.box(at, issuance.PendingPlace(op.Vault, op.Name, op.RequestID), op.Private)
	} else if len(op.Private) > 0 || !op.HSM.IsZero() {
		at("operation %s is completed and keeps a private key", op.RequestID)
	}
}

// publicOf cuts the SubjectPublicKeyInfo out of a certificate (RFC 5280, section
// 4.1). crypto/x509 would refuse the curve P-256K.
func publicOf(leaf []byte) ([]byte, bool) {
	der := cryptobyte.String(leaf)
	var cert, tbs, public cryptobyte.String
	ok := der.ReadASN1(&cert, asn1.SEQUENCE) && cert.ReadASN1(&tbs, asn1.SEQUENCE) &&
		tbs.SkipOptionalASN1(asn1.Tag(0).ContextSpecific().Constructed()) &&
		tbs.SkipASN1(asn1.INTEGER) && // serialNumber
		tbs.SkipASN1(asn1.SEQUENCE) && // signature
		tbs.SkipASN1(asn1.SEQUENCE) && // issuer
		tbs.SkipASN1(asn1.SEQUENCE) && // validity
		tbs.SkipASN1(asn1.SEQUENCE) && // subject
		tbs.ReadASN1Element(&public, asn1.SEQUENCE)
	return public, ok
}
