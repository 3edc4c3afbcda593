package token

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
	"coffer/internal/seal"
)

const (
	signingKeyBits = 2048
	// readEvery is how old the keys may be that a process goes on with: those
	// that another replica has retired end within it.
	readEvery = 5 * time.Second
	// settle is how old a key is before it replaces another as the signer, so
	// that every replica and every reader of the key set knows it by then.
	settle = time.Minute
	// overlap is how long a key is good after its time as the signer: twice the
	// longest token's life (contract identity.md, 5.7).
	overlap = 2 * managedIdentityLifetime
)

// place is what the box of a signing key is bound to.
func place(id string) seal.Place { return seal.Place{Kind: "signing-key", Name: id, Column: "private"} }

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
func (s *Service) readRing(ctx context.Context, maxAge time.Duration) (*ring, error) {
	fresh := func() *ring {
		r, now := s.ring.Load(), s.now()
		if r == nil || now.Sub(r.readAt) >= maxAge || now.Before(r.readAt) {
			return nil
		}
		return r
	}
	if r := fresh(); r != nil {
		return r, nil
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if r := fresh(); r != nil {
		return r, nil
	}
	r := &ring{readAt: s.now()}
	var rows []*SigningKey
	err := s.db.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.SigningKeys(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	last := s.ring.Load()
	for _, row := range rows {
		if last != nil {
			if k := last.find(row.ID); k != nil && bytes.Equal(k.row.Private, row.Private) && k.row.RetireAt.Equal(row.RetireAt) {
				r.keys = append(r.keys, k)
				continue
			}
		}
		k, err := s.openKey(ctx, row)
		if err != nil { // one bad row must not silence the good ones
			s.log.ErrorContext(ctx, "signing key does not open", "kid", row.ID, "err", err)
			continue
		}
		r.keys = append(r.keys, k)
	}
	s.ring.Store(r)
	return r, nil
}

// openKey takes the public key from the box, not from the row: what is not
// sealed could have been put there by whoever can write to the database.
func (s *Service) openKey(ctx context.Context, row *SigningKey) (*ringKey, error) {
	der, err := s.sealer.Open(ctx, place(row.ID), row.Private)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der.Reveal())
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
func (s *Service) signer(ctx context.Context) (*ringKey, error) {
	r, err := s.readRing(ctx, readEvery)
	if err != nil {
		return nil, err
	}
	if !s.due(r) {
		return s.choose(r), nil
	}
	s.making.Lock()
	defer s.making.Unlock()
	if r, err = s.readRing(ctx, 0); err != nil { // another may have made it
		return nil, err
	}
	if s.due(r) {
		if r, err = s.makeKey(ctx); err != nil {
			return nil, err
		}
	}
	if k := s.choose(r); k != nil {
		return k, nil
	}
	return nil, errors.New("token: no signing key opens")
}

// due reports whether a new key is needed.
func (s *Service) due(r *ring) bool {
	now := s.now()
	for _, k := range r.keys {
		if now.Before(k.row.Created.Add(s.period)) && s.signs(k) {
			return false
		}
	}
	return true
}

// signs reports whether every token that k signs now ends before k does.
func (s *Service) signs(k *ringKey) bool {
	return s.now().Add(managedIdentityLifetime + DefaultSkew).Before(k.row.RetireAt)
}

// choose picks the youngest key that has settled, or else the oldest that
// signs; nil when none does.
func (s *Service) choose(r *ring) *ringKey {
	now := s.now()
	var oldest *ringKey
	for i := len(r.keys) - 1; i >= 0; i-- {
		k := r.keys[i]
		if !s.signs(k) {
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
func (s *Service) Rotate(ctx context.Context) error {
	s.making.Lock()
	defer s.making.Unlock()
	_, err := s.makeKey(ctx)
	return err
}

// makeKey stores a new key and drops the retired ones. Two replicas may each
// make one at a time: both are good. A crash before the commit leaves no trace,
// after it a key that is used from the next reading on.
func (s *Service) makeKey(ctx context.Context) (*ring, error) {
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
	box, err := s.sealer.Seal(ctx, place(id), seal.NewValue(der))
	clear(der)
	if err != nil {
		return nil, fmt.Errorf("sealing a signing key: %w", err)
	}
	now := object.Second(s.now())
	row := &SigningKey{ID: id, Private: box, Public: public, Created: now, RetireAt: now.Add(s.period + overlap)}
	err = s.db.Update(ctx, func(tx Tx) error {
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
	return s.readRing(ctx, 0)
}

// KeySet is the public half of every key whose tokens may still be good.
func (s *Service) KeySet(ctx context.Context) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	if _, err := s.signer(ctx); err != nil {
		return set, err
	}
	r, err := s.readRing(ctx, readEvery)
	if err != nil {
		return set, err
	}
	for _, k := range r.keys {
		if s.now().Before(k.row.RetireAt) {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.public, KeyID: k.row.ID, Algorithm: string(jose.RS256), Use: "sig"})
		}
	}
	return set, nil
}

// PublicKey finds a key of ours by its id, looking again in the database when
// it is not known yet; nil when there is none.
func (s *Service) PublicKey(ctx context.Context, id string) (crypto.PublicKey, error) {
	r, err := s.readRing(ctx, readEvery)
	if err != nil {
		return nil, err
	}
	k := r.find(id)
	if k == nil && s.misses.Allow() {
		if r, err = s.readRing(ctx, 0); err != nil {
			return nil, err
		}
		k = r.find(id)
	}
	if k == nil || !s.now().Before(k.row.RetireAt) {
		return nil, nil
	}
	return k.public, nil
}
