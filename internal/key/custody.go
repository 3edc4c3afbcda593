package key

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"coffer/internal/hsm"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// Custody is where private keys come to be and are opened, in software or in the
// HSM, for keys and for certificates.
//
// The HSM and the database cannot commit together. So a job to destroy a key in
// the HSM is stored before the key is made, and the transaction that stores its
// handle removes the job; what a crash leaves is the job, due an hour later. Both
// need the job's row: of a worker that has taken it and a transaction that is
// late, one loses. What is done with a key in the HSM after that is in Discard.
type Custody struct {
	Sealer Sealer
	Maker  Maker
	Device Device // nil: there is no HSM
	// Update opens a transaction, and may run its function again after a conflict.
	Update func(ctx context.Context, fn func(HandleTx) error) error
	Now    func() time.Time
	Wake   func()
	Logger *slog.Logger
}

// Private is a private or secret key that can be used. Of Signer and Secret one is
// set; the Signer of an RSA key is a crypto.Decrypter too.
type Private struct {
	Signer crypto.Signer
	Secret Secret
	HSM    hsm.ID      // zero: in software
	Spec   pki.KeySpec // of a key that was made

	content []byte    // what is sealed: PKCS#8, or the text of HSM
	job     *jobs.Job // which destroys it unless it is kept; nil: it is kept, or in software
}

// PKCS8 is the key itself, for the PFX or PEM of its owner; nil of a key in the
// HSM.
func (p *Private) PKCS8() seal.Value {
	if !p.HSM.IsZero() {
		return seal.Value{}
	}
	return seal.NewValue(p.content)
}

// forget wipes what was sealed. The key itself goes on working.
func (p *Private) forget() {
	clear(p.content)
	p.content = nil
}

// Hardware tells whether a vault may have keys in the HSM.
func (c *Custody) Hardware(v *vault.Vault) bool { return c.Device != nil && v.SKU == vault.Premium }

// Check refuses a key type that asks for an HSM where the vault may have none.
// field is the member that asks.
func (c *Custody) Check(v *vault.Vault, inHSM bool, field string) error {
	if inHSM && !c.Hardware(v) {
		return hardware(field)
	}
	return nil
}

// Generate makes a key. The caller keeps it in the transaction that stores it, or
// drops it.
func (c *Custody) Generate(ctx context.Context, spec pki.KeySpec, inHSM bool) (*Private, error) {
	if inHSM {
		return c.inHSM(ctx, func(id hsm.ID) (crypto.PublicKey, error) {
			public, err := c.Device.Generate(ctx, id, spec)
			if err == nil {
				err = pki.CheckPublicStrength(public)
			}
			return public, err
		}, spec)
	}
	k, err := c.Maker.Generate(ctx, spec)
	if err != nil {
		return nil, err
	}
	return software(k)
}

// Import takes a key from outside; as Generate.
func (c *Custody) Import(ctx context.Context, k crypto.Signer, inHSM bool) (*Private, error) {
	if !inHSM {
		return software(k)
	}
	return c.inHSM(ctx, func(id hsm.ID) (crypto.PublicKey, error) {
		return k.Public(), c.Device.Import(ctx, id, k)
	}, pki.KeySpec{})
}

// ImportSecret takes a symmetric key from outside, always into the HSM.
func (c *Custody) ImportSecret(ctx context.Context, raw seal.Value) (*Private, error) {
	return c.inHSM(ctx, func(id hsm.ID) (crypto.PublicKey, error) {
		return nil, c.Device.ImportSecret(ctx, id, raw)
	}, pki.KeySpec{Algorithm: pki.Oct, Size: 8 * len(raw.Reveal())})
}

// Unwrap takes a key that was wrapped for another key of the HSM.
func (c *Custody) Unwrap(ctx context.Context, kek hsm.ID, blob []byte, kind pki.Algorithm) (*Private, error) {
	p, err := c.inHSM(ctx, func(id hsm.ID) (crypto.PublicKey, error) {
		return c.Device.UnwrapTransfer(ctx, id, kek, blob, kind)
	}, pki.KeySpec{Algorithm: kind})
	if err != nil || p.Secret == nil {
		return p, err
	}
	if p.Spec.Size, err = p.Secret.Bits(ctx); err != nil {
		c.Drop(ctx, p)
		return nil, err
	}
	return p, nil
}

func software(k crypto.Signer) (*Private, error) {
	spec, err := pki.SpecOf(k.Public())
	if err != nil {
		return nil, err
	}
	der, err := pki.MarshalPKCS8(k)
	return &Private{Signer: k, Spec: spec, content: der}, err
}

// DestroyJob is the kind of the job that destroys a key in the HSM which nothing
// holds. Its reference is the handle.
const DestroyJob jobs.Kind = "destroy-hsm-key"

// How long such a job waits: for the transaction that is to store the handle, far
// longer than a request can take; and after a call of the HSM that failed, whose
// effect may come later than its answer.
const (
	untilStored = time.Hour
	afterCall   = time.Minute
)

// inHSM has a key made under a new id, on record before. spec is that of a
// symmetric key, or of what was asked for.
func (c *Custody) inHSM(ctx context.Context, make func(hsm.ID) (crypto.PublicKey, error), spec pki.KeySpec) (*Private, error) {
	if c.Device == nil {
		return nil, noDevice()
	}
	if err := c.Device.Ready(ctx); err != nil { // no row for an HSM that is away
		return nil, err
	}
	id := hsm.NewID()
	p := &Private{HSM: id, Spec: spec, content: []byte(id.String()), job: &jobs.Job{
		ID: object.NewRequestID(), Kind: DestroyJob, Ref: id.String(), Due: c.Now().Add(untilStored),
	}}
	if err := c.Update(ctx, func(tx HandleTx) error { return tx.EnqueueJob(ctx, *p.job) }); err != nil {
		return nil, err
	}
	public, err := make(id)
	if err == nil && public != nil {
		p.Spec, err = pki.SpecOf(public)
	}
	if err != nil {
		c.drop(ctx, p, afterCall)
		return nil, err
	}
	if public == nil {
		p.Secret = c.Device.Secret(id)
	} else {
		p.Signer = c.Device.Signer(id, public)
	}
	return p, nil
}

// Keep is for the transaction that stores the handle: from its commit on the key
// is the database's. It fails with object.ErrChanged when that is too late.
func (p *Private) Keep(ctx context.Context, tx HandleTx) error {
	if p.job == nil {
		return nil
	}
	return tx.CompleteJob(ctx, *p.job)
}

// Drop gives a key up that was made and is not to be stored, or whose transaction
// failed: if that was committed all the same, the job is gone and the key stays.
func (c *Custody) Drop(ctx context.Context, p *Private) { c.drop(ctx, p, 0) }

// dropTime bounds what a request does after its client may have left.
const dropTime = 10 * time.Second

func (c *Custody) drop(ctx context.Context, p *Private, wait time.Duration) {
	if p == nil || p.job == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
	defer cancel()
	err := c.Update(ctx, func(tx HandleTx) error { return tx.PostponeJob(ctx, *p.job, c.Now().Add(wait)) })
	switch {
	case err == nil:
		c.Wake()
	case !errors.Is(err, object.ErrChanged):
		c.Logger.WarnContext(ctx, "a key in the HSM that was not stored will be destroyed later", "due", p.job.Due, "error", err)
	}
}

// Discard has keys in the HSM destroyed once the transaction is committed,
// unless something else holds them.
func Discard(ctx context.Context, tx HandleTx, ids ...hsm.ID) error {
	for _, id := range ids {
		if id.IsZero() {
			continue
		}
		j := jobs.Job{ID: object.NewRequestID(), Kind: DestroyJob, Ref: id.String(), Due: time.Unix(0, 0)}
		if err := tx.EnqueueJob(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// Destroy does a DestroyJob. Whoever stores a handle anew takes it from a row that
// holds it, or removes this job: so what nothing holds now, nothing will hold.
func (c *Custody) Destroy(ctx context.Context, j jobs.Job) error {
	id, err := hsm.ParseID(j.Ref)
	if err != nil {
		return err
	}
	used := false
	err = c.Update(ctx, func(tx HandleTx) (err error) {
		if used, err = tx.HSMKeyInUse(ctx, id); err != nil || !used {
			return err
		}
		return tx.CompleteJob(ctx, j)
	})
	if err != nil || used {
		return err
	}
	if c.Device == nil {
		return noDevice()
	}
	if err := c.Device.Destroy(ctx, id); err != nil {
		return fmt.Errorf("destroying %s in the HSM: %w", id, err)
	}
	return c.Update(ctx, func(tx HandleTx) error { return tx.CompleteJob(ctx, j) })
}

// Seal puts what the vault stores of a key into a box.
func (c *Custody) Seal(ctx context.Context, at seal.Place, p *Private) (seal.Box, error) {
	return c.Sealer.Seal(ctx, at, seal.NewValue(p.content))
}

// Open opens a box that Seal made: a key in software, or that of the HSM which
// id names. public is the stored public key, nil of a symmetric one.
func (c *Custody) Open(ctx context.Context, at seal.Place, box seal.Box, id hsm.ID, public []byte) (*Private, error) {
	value, err := c.Sealer.Open(ctx, at, box)
	if err != nil {
		return nil, err
	}
	p := &Private{HSM: id, content: value.Reveal()}
	if id.IsZero() {
		p.Signer, err = pki.ParsePKCS8(p.content)
		return p, err
	}
	// The column could be changed, the box could not.
	if sealed, err := hsm.ParseID(string(p.content)); err != nil || sealed != id {
		return nil, errHandle
	}
	if c.Device == nil {
		return nil, noDevice()
	}
	if public == nil {
		p.Secret = c.Device.Secret(id)
		return p, nil
	}
	k, err := pki.ParsePublic(public)
	if err != nil {
		return nil, err
	}
	p.Signer = c.Device.Signer(id, k)
	return p, nil
}

var errHandle = errors.New("key: the stored handle is not that of the key in the HSM")
