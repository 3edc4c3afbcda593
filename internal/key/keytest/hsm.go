package keytest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // of the transfer blob's OAEP
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"coffer/internal/fault"
	"coffer/internal/hsm"
	"coffer/internal/key"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

// HSM is a key.Device in memory. The zero HSM is empty and there.
type HSM struct {
	mu   sync.Mutex
	keys map[hsm.ID]any                          // crypto.Signer or []byte; guarded by mu
	fail func(operation string, id hsm.ID) error // guarded by mu
	made func(id hsm.ID)                         // guarded by mu
}

// Away is what an HSM answers that was pulled out.
var Away = &fault.Error{Kind: fault.Unavailable, Msg: "The HSM token is not there."}

// Fail asks f before each operation, by the name of its method; nil: none fails.
func (t *HSM) Fail(f func(operation string, id hsm.ID) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = f
}

// Pull takes the HSM out, or puts it in again.
func (t *HSM) Pull(out bool) {
	t.Fail(func(string, hsm.ID) error {
		if out {
			return Away
		}
		return nil
	})
}

// OnMade calls f once, after the next key has come to be.
func (t *HSM) OnMade(f func(id hsm.ID)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made = f
}

// IDs are the keys that the HSM holds, in order.
func (t *HSM) IDs() (ids []hsm.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.keys {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b hsm.ID) int { return strings.Compare(string(a[:]), string(b[:])) })
	return ids
}

// Key is a key of the HSM: a crypto.Signer or bytes; nil when there is none.
func (t *HSM) Key(id hsm.ID) any {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys[id]
}

func (t *HSM) try(operation string, id hsm.ID) error {
	t.mu.Lock()
	f := t.fail
	t.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(operation, id)
}

// use finds a key for an operation.
func use[K any](t *HSM, operation string, id hsm.ID) (k K, err error) {
	if err := t.try(operation, id); err != nil {
		return k, err
	}
	k, ok := t.Key(id).(K)
	if !ok {
		err = hsm.ErrNoKey
	}
	return k, err
}

func (t *HSM) put(operation string, id hsm.ID, k any) error {
	if err := t.try(operation, id); err != nil {
		return err
	}
	t.mu.Lock()
	if t.keys == nil {
		t.keys = map[hsm.ID]any{}
	}
	_, taken := t.keys[id]
	t.keys[id] = k
	f := t.made
	t.made = nil
	t.mu.Unlock()
	if f != nil {
		f(id)
	}
	if taken {
		return errors.New("keytest: the id is taken")
	}
	return t.try(operation+" done", id)
}

// Ready implements key.Device.
func (t *HSM) Ready(context.Context) error { return t.try("Ready", hsm.ID{}) }

// rsaKey serves all HSMs: RSA keys take long to make.
var rsaKey = sync.OnceValues(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Generate implements key.Device. RSA keys of 2048 bits are all the same one.
func (t *HSM) Generate(_ context.Context, id hsm.ID, spec pki.KeySpec) (crypto.PublicKey, error) {
	if spec.Algorithm == pki.Oct {
		raw := make([]byte, spec.Size/8)
		_, _ = rand.Read(raw)
		return nil, t.put("Generate", id, raw)
	}
	make := func() (crypto.Signer, error) { return pki.Generate(spec) }
	if spec.Size == 2048 {
		make = rsaKey
	}
	k, err := make()
	if err != nil {
		return nil, err
	}
	return k.Public(), t.put("Generate", id, k)
}

// Import implements key.Device.
func (t *HSM) Import(_ context.Context, id hsm.ID, private crypto.Signer) error {
	return t.put("Import", id, private)
}

// ImportSecret implements key.Device.
func (t *HSM) ImportSecret(_ context.Context, id hsm.ID, raw seal.Value) error {
	return t.put("ImportSecret", id, slices.Clone(raw.Reveal()))
}

// UnwrapTransfer implements key.Device.
func (t *HSM) UnwrapTransfer(_ context.Context, id, kek hsm.ID, blob []byte, kind pki.Algorithm) (crypto.PublicKey, error) {
	by, err := use[*rsa.PrivateKey](t, "UnwrapTransfer", kek)
	if err != nil {
		return nil, err
	}
	if len(blob) < by.Size() {
		return nil, hsm.ErrRefused
	}
	aesKey, err := rsa.DecryptOAEP(crypto.SHA1.New(), nil, by, blob[:by.Size()], nil)
	if err != nil {
		return nil, hsm.ErrRefused
	}
	raw, err := unwrapPad(aesKey, blob[by.Size():])
	if err != nil {
		return nil, err
	}
	if kind == pki.Oct {
		return nil, t.put("UnwrapTransfer", id, raw)
	}
	k, err := pki.ParsePKCS8(raw)
	if err != nil {
		return nil, hsm.ErrRefused
	}
	if spec, err := pki.SpecOf(k.Public()); err != nil || spec.Algorithm != kind {
		return nil, pki.ErrKeyType
	}
	return k.Public(), t.put("UnwrapTransfer", id, k)
}

// Destroy implements key.Device.
func (t *HSM) Destroy(_ context.Context, id hsm.ID) error {
	if err := t.try("Destroy", id); err != nil {
		return err
	}
	t.mu.Lock()
	delete(t.keys, id)
	t.mu.Unlock()
	return t.try("Destroy done", id)
}

// Signer implements key.Device.
func (t *HSM) Signer(id hsm.ID, public crypto.PublicKey) crypto.Signer {
	s := signer{t, id, public}
	if _, ok := public.(*rsa.PublicKey); ok {
		return decrypter{s}
	}
	return s
}

type signer struct {
	t      *HSM
	id     hsm.ID
	public crypto.PublicKey
}

func (s signer) Public() crypto.PublicKey { return s.public }

func (s signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k, err := use[crypto.Signer](s.t, "Sign", s.id)
	if err != nil {
		return nil, err
	}
	if _, ok := k.(*ecdsa.PrivateKey); ok && random == nil {
		random = rand.Reader
	}
	return k.Sign(random, digest, opts)
}

type decrypter struct{ signer }

func (d decrypter) Decrypt(random io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	k, err := use[crypto.Decrypter](d.t, "Decrypt", d.id)
	if err != nil {
		return nil, err
	}
	plain, err := k.Decrypt(random, msg, opts)
	if err != nil {
		return nil, hsm.ErrRefused
	}
	return plain, nil
}

// Secret implements key.Device.
func (t *HSM) Secret(id hsm.ID) key.Secret { return secret{t, id} }

var _ key.Device = (*HSM)(nil)
