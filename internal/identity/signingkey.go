package identity

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"coffer/internal/object"
)

const (
	signingKeyBits = 2048
	// settle is how old a key is before it replaces another as the signer, so
	// that every replica and every reader of the key set knows it by then.
	settle = time.Minute
	// overlap is how long a key is good after its time as the signer: twice the
	// longest token's life (contract identity.md, 5.7).
	overlap = 2 * managedIdentityLifetime
)

// ring is the signing keys as last read. It is never changed, only replaced.
type ring struct {
	keys   []*ringKey // oldest first
	readAt time.Time
}

type ringKey struct {
	row    *SigningKey
	public *rsa.PublicKey
	signer jose.Signer
}

func (r *ring) find(id string) *ringKey {
	for _, k := range r.keys {
		if k.row.ID == id {
			return k
		}
	}
	return nil
}

// readRing gives the signing keys as they were at most maxAge ago.
func (d *Directory) readRing(ctx context.Context, maxAge time.Duration) (*ring, error) {
	fresh := func() *ring {
		r, now := d.ring.Load(), d.now()
		if r == nil || now.Sub(r.readAt) >= maxAge || now.Before(r.readAt) {
			return nil
		}
		return r
	}
	if r := fresh(); r != nil {
		return r, nil
	}
	d.loading.Lock()
	defer d.loading.Unlock()
	if r := fresh(); r != nil {
		return r, nil
	}
	r := &ring{readAt: d.now()}
	var rows []*SigningKey
	err := d.db.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.SigningKeys(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	last := d.ring.Load()
	for _, row := range rows {
		if last != nil {
			if k := last.find(row.ID); k != nil && bytes.Equal(k.row.Private, row.Private) && k.row.RetireAt.Equal(row.RetireAt) {
				r.keys = append(r.keys, k)
				continue
			}
		}
		k, err := d.openKey(ctx, row)
		if err != nil { // one bad row must not silence the good ones
			d.log.ErrorContext(ctx, "signing key does not open", "kid", row.ID, "err", err)
			continue
		}
		r.keys = append(r.keys, k)
	}
	d.ring.Store(r)
	return r, nil
}

// openKey takes the public key from the box, not from the row: what is not
// sealed could have been put there by whoever can write to the database.
func (d *Directory) openKey(ctx context.Context, row *SigningKey) (*ringKey, error) {
	der, err := d.sealer.Open(ctx, row.ID, row.Private)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("the box holds no PKCS #8 key")
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the box holds no RSA key")
	}
	if id, err := keyID(&private.PublicKey); err != nil || id != row.ID {
		return nil, errors.New("the box holds another key")
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: row.ID}},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("x5t", row.ID))
	if err != nil {
		return nil, err
	}
	return &ringKey{row: row, public: &private.PublicKey, signer: signer}, nil
}

// keyID names a key after itself: 160 bits of the SHA-256 of its
// SubjectPublicKeyInfo, which is the length that x5t has.
func keyID(pub *rsa.PublicKey) (string, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(spki)
	return base64.RawURLEncoding.EncodeToString(sum[:20]), nil
}

// signer gives the key to sign with now, making one when there is none or the
// last has done its time.
func (d *Directory) signer(ctx context.Context) (*ringKey, error) {
	r, err := d.readRing(ctx, standingTTL)
	if err != nil {
		return nil, err
	}
	if !d.due(r) {
		return d.choose(r), nil
	}
	d.making.Lock()
	defer d.making.Unlock()
	if r, err = d.readRing(ctx, 0); err != nil { // another may have made it
		return nil, err
	}
	if d.due(r) {
		if r, err = d.makeKey(ctx); err != nil {
			return nil, err
		}
	}
	if k := d.choose(r); k != nil {
		return k, nil
	}
	return nil, errors.New("identity: no signing key opens")
}

// due reports whether a new key is needed.
func (d *Directory) due(r *ring) bool {
	now := d.now()
	for _, k := range r.keys {
		if now.Before(k.row.Created.Add(d.period)) && d.signs(k) {
			return false
		}
	}
	return true
}

// signs reports whether every token that k signs now ends before k does.
func (d *Directory) signs(k *ringKey) bool {
	return d.now().Add(managedIdentityLifetime + defaultSkew).Before(k.row.RetireAt)
}

// choose picks the youngest key that has settled, or else the oldest that
// signs; nil when none does.
func (d *Directory) choose(r *ring) *ringKey {
	now := d.now()
	var oldest *ringKey
	for i := len(r.keys) - 1; i >= 0; i-- {
		k := r.keys[i]
		if !d.signs(k) {
			continue
		}
		if !now.Before(k.row.Created.Add(settle)) {
			return k
		}
		oldest = k
	}
	return oldest
}

// Rotate makes a new signing key. It takes over within a minute; tokens signed
// with the old ones stay good until they expire.
func (d *Directory) Rotate(ctx context.Context) error {
	d.making.Lock()
	defer d.making.Unlock()
	_, err := d.makeKey(ctx)
	return err
}

// makeKey stores a new key and drops the retired ones. Two replicas may each
// make one at a time: both are good. A crash before the commit leaves no trace,
// after it a key that is used from the next reading on.
func (d *Directory) makeKey(ctx context.Context) (*ring, error) {
	private, err := rsa.GenerateKey(rand.Reader, signingKeyBits)
	if err != nil {
		return nil, fmt.Errorf("generating a signing key: %w", err)
	}
	id, err := keyID(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	box, err := d.sealer.Seal(ctx, id, der)
	clear(der)
	if err != nil {
		return nil, fmt.Errorf("sealing a signing key: %w", err)
	}
	now := object.Second(d.now())
	row := &SigningKey{ID: id, Private: box, Public: public, Created: now, RetireAt: now.Add(d.period + overlap)}
	err = d.db.Update(ctx, func(tx Tx) error {
		old, err := tx.SigningKeys(ctx)
		if err != nil {
			return err
		}
		for _, k := range old {
			if k.RetireAt.Before(now) {
				if err := tx.DeleteSigningKey(ctx, k.ID); err != nil {
					return err
				}
			}
		}
		return tx.InsertSigningKey(ctx, row)
	})
	if err != nil {
		return nil, fmt.Errorf("storing a signing key: %w", err)
	}
	return d.readRing(ctx, 0)
}

// KeySet is the public half of every key whose tokens may still be good.
func (d *Directory) KeySet(ctx context.Context) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	if _, err := d.signer(ctx); err != nil {
		return set, err
	}
	r, err := d.readRing(ctx, standingTTL)
	if err != nil {
		return set, err
	}
	for _, k := range r.keys {
		if d.now().Before(k.row.RetireAt) {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.public, KeyID: k.row.ID, Algorithm: string(jose.RS256), Use: "sig"})
		}
	}
	return set, nil
}

// publicKey finds a key of ours by its id, looking again in the database when
// it is not known yet; nil when there is none.
func (d *Directory) publicKey(ctx context.Context, id string) (crypto.PublicKey, error) {
	r, err := d.readRing(ctx, standingTTL)
	if err != nil {
		return nil, err
	}
	k := r.find(id)
	if k == nil && d.misses.Allow() {
		if r, err = d.readRing(ctx, 0); err != nil {
			return nil, err
		}
		k = r.find(id)
	}
	if k == nil || !d.now().Before(k.row.RetireAt) {
		return nil, nil
	}
	return k.public, nil
}
