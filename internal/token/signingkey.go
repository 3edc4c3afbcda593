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
	// settle is how old a key is before it replaces another as the signer, so
	// that every replica and every reader of the key set knows it by then.
	settle = time.Minute
	// overlap is how long a key is good after its time as the signer: twice the
	// longest token's life (contract identity.md, 5.7).
	overlap = 2 * managedIdentityLifetime
	// maxOpened bounds the keys that are kept open: those of a decade.
	maxOpened = 100
)

// place is what the box of a signing key is bound to.
func place(id string) seal.Place { return seal.Place{Kind: "signing-key", Name: id, Column: "private"} }

// openedKey is a signing key whose box is open.
type openedKey struct {
	row    *SigningKey
	public *rsa.PublicKey
	signer jose.Signer
}

// openedKeys are the signing keys as they were read, oldest first. They are never
// changed.
type openedKeys []*openedKey

func (ks openedKeys) find(id string) *openedKey {
	for _, k := range ks {
		if k.row.ID == id {
			return k
		}
	}
	return nil
}

// keys gives the signing keys as they may be used.
func (s *Service) keys(ctx context.Context) (openedKeys, error) {
	return s.kept.Get(struct{}{}, func() (openedKeys, error) { return s.readKeys(ctx) })
}

// readKeys reads the signing keys, and opens those that are not open.
func (s *Service) readKeys(ctx context.Context) (keys openedKeys, err error) {
	var rows []*SigningKey
	err = s.db.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.SigningKeys(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	for _, row := range rows {
		k, ok := s.opened.Get(row.ID)
		if !ok || !bytes.Equal(k.row.Private, row.Private) || !k.row.RetireAt.Equal(row.RetireAt) {
			if k, err = s.openKey(ctx, row); err != nil { // one bad row must not silence the good ones
				s.log.ErrorContext(ctx, "signing key does not open", "kid", row.ID, "err", err)
				continue
			}
			s.opened.Put(row.ID, k)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// openKey takes the public key from the box, not from the row: what is not
// sealed could have been put there by whoever can write to the database.
func (s *Service) openKey(ctx context.Context, row *SigningKey) (*openedKey, error) {
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
	return &openedKey{row: row, public: &private.PublicKey, signer: signer}, nil
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
// last has done its time. The keys are read anew: a token that is signed with a key
// which another replica has just revoked would be refused for as long as it lives.
func (s *Service) signer(ctx context.Context) (*openedKey, error) {
	keys, err := s.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	if s.due(keys) {
		if keys, err = s.makeDue(ctx); err != nil {
			return nil, err
		}
	}
	if k := s.choose(keys); k != nil {
		return k, nil
	}
	return nil, errors.New("token: no signing key opens")
}

// makeDue makes the key that is due, unless another has made it meanwhile.
func (s *Service) makeDue(ctx context.Context) (openedKeys, error) {
	s.making.Lock()
	defer s.making.Unlock()
	keys, err := s.readKeys(ctx)
	if err != nil || !s.due(keys) {
		return keys, err
	}
	if _, _, err := s.makeKey(ctx, keepAll); err != nil {
		return nil, err
	}
	return s.readKeys(ctx)
}

// due reports whether a new key is needed.
func (s *Service) due(keys openedKeys) bool {
	now := s.now()
	for _, k := range keys {
		if now.Before(k.row.Created.Add(s.period)) && s.signs(k) {
			return false
		}
	}
	return true
}

// signs reports whether every token that k signs now ends before k does.
func (s *Service) signs(k *openedKey) bool {
	return s.now().Add(managedIdentityLifetime + DefaultSkew).Before(k.row.RetireAt)
}

// choose picks the youngest key that has settled, or else the oldest that
// signs; nil when none does.
func (s *Service) choose(keys openedKeys) *openedKey {
	now := s.now()
	var oldest *openedKey
	for i := len(keys) - 1; i >= 0; i-- {
		k := keys[i]
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

// keepAll is for a new key that takes no other's place.
func keepAll(*SigningKey) bool { return false }

// makeKey stores a new key, and drops those that drop picks and the retired ones. It
// answers the ids of all before and after. Two replicas may each make one at a time:
// both are good. A crash before the commit leaves no trace, after it a key that is used
// from the next reading on.
func (s *Service) makeKey(ctx context.Context, drop func(*SigningKey) bool) (before, after []string, err error) {
	row, err := s.newKey(ctx)
	if err != nil {
		return nil, nil, err
	}
	err = s.db.Update(ctx, func(tx Tx) error {
		have, err := tx.SigningKeys(ctx)
		if err != nil {
			return err
		}
		before, after = nil, nil
		for _, k := range have {
			before = append(before, k.ID)
			if !drop(k) && !k.RetireAt.Before(row.Created) {
				after = append(after, k.ID)
				continue
			}
			if err := tx.DeleteSigningKey(ctx, k.ID); err != nil {
				return err
			}
		}
		after = append(after, row.ID)
		return tx.InsertSigningKey(ctx, row)
	})
	if err != nil {
		return before, after, fmt.Errorf("storing a signing key: %w", err)
	}
	s.log.InfoContext(ctx, "a new key for signing tokens is made", "kid", row.ID)
	return before, after, nil
}

// newKey generates a key and seals it.
func (s *Service) newKey(ctx context.Context) (*SigningKey, error) {
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
	return &SigningKey{ID: id, Private: box, Public: public, Created: now, RetireAt: now.Add(s.period + overlap)}, nil
}

// KeySet is the public half of every key whose tokens may still be good.
func (s *Service) KeySet(ctx context.Context) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	keys, err := s.keys(ctx)
	if err == nil && s.due(keys) {
		keys, err = s.makeDue(ctx)
	}
	if err != nil {
		return set, err
	}
	for _, k := range keys {
		if s.now().Before(k.row.RetireAt) {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.public, KeyID: k.row.ID, Algorithm: string(jose.RS256), Use: "sig"})
		}
	}
	return set, nil
}

// PublicKey finds a key of ours by its id, looking again in the database when
// it is not known yet; nil when there is none.
func (s *Service) PublicKey(ctx context.Context, id string) (crypto.PublicKey, error) {
	keys, err := s.keys(ctx)
	if err == nil && keys.find(id) == nil {
		keys, err = s.kept.Reread(struct{}{}, func() (openedKeys, error) { return s.readKeys(ctx) })
	}
	if err != nil {
		return nil, err
	}
	k := keys.find(id)
	if k == nil || !s.now().Before(k.row.RetireAt) {
		return nil, nil
	}
	return k.public, nil
}
