//go:build hsm

package hsm

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"testing"

	"coffer/internal/pki"
	"coffer/internal/seal"
)

// testKeys is a key of each kind, and what can be done with them.
type testKeys struct {
	d          *Device
	id, secret ID
	public     crypto.PublicKey
	// of the message
	ciphertext, tag, wrapped []byte
}

func newTestKeys(t testing.TB, d *Device) *testKeys {
	t.Helper()
	k := &testKeys{d: d, secret: NewID()}
	k.id, k.public = generate(t, d, ecSpecs[0])
	err := d.ImportSecret(t.Context(), k.secret, seal.NewValue(make([]byte, 32)))
	if err == nil {
		k.ciphertext, k.tag, err = d.Secret(k.secret).SealGCM(t.Context(), make([]byte, 12), nil, message)
	}
	if err == nil {
		k.wrapped, err = d.Secret(k.secret).WrapPad(t.Context(), message)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var (
	message  = []byte("what is encrypted and wrapped")
	errWrong = errors.New("a wrong result")
)

// right is errWrong unless got is the message.
func right(got []byte, err error) error {
	if err == nil && !bytes.Equal(got, message) {
		return errWrong
	}
	return err
}

func (k *testKeys) sign(context.Context) error {
	digest := random(32)
	signature, err := k.d.Signer(k.id, k.public).Sign(nil, digest, crypto.SHA256)
	if err == nil && !verified(k.public, digest, signature, nil) {
		return errWrong
	}
	return err
}

// works are the operations of a device. Those that make keys destroy them too.
func (k *testKeys) works() map[string]func(context.Context) error {
	key := k.d.Secret(k.secret)
	made := func(make func(context.Context, ID) error) func(context.Context) error {
		return func(ctx context.Context) error {
			id := NewID()
			return errors.Join(make(ctx, id), k.d.Destroy(ctx, id))
		}
	}
	return map[string]func(context.Context) error{
		"ready": k.d.Ready,
		"sign":  k.sign,
		"generate": made(func(ctx context.Context, id ID) error {
			_, err := k.d.Generate(ctx, id, ecSpecs[0])
			return err
		}),
		"generate secret": made(func(ctx context.Context, id ID) error {
			_, err := k.d.Generate(ctx, id, octSpec(256))
			return err
		}),
		"import": made(func(ctx context.Context, id ID) error {
			private, err := pki.Generate(ecSpecs[3])
			if err != nil {
				return err
			}
			return k.d.Import(ctx, id, private)
		}),
		"import secret": made(func(ctx context.Context, id ID) error {
			return k.d.ImportSecret(ctx, id, seal.NewValue(make([]byte, 24)))
		}),
		"open": func(ctx context.Context) error {
			return right(key.OpenGCM(ctx, make([]byte, 12), nil, k.ciphertext, k.tag))
		},
		"unwrap": func(ctx context.Context) error { return right(key.UnwrapPad(ctx, k.wrapped)) },
		"wrap": func(ctx context.Context) error {
			got, err := key.WrapPad(ctx, message)
			if err == nil && !bytes.Equal(got, k.wrapped) {
				return errWrong
			}
			return err
		},
		"mac": func(ctx context.Context) error {
			_, err := key.MAC(ctx, crypto.SHA256, message)
			return err
		},
	}
}

// all does everything once.
func (k *testKeys) all(t testing.TB) {
	t.Helper()
	for name, work := range k.works() {
		if err := work(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
