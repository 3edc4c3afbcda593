//go:build hsm

package hsm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"math/big"
	"strings"
	"testing"

	"coffer/internal/pki"
)

// verified is what Go's own cryptography says of a signature.
func verified(public crypto.PublicKey, digest, signature []byte, opts crypto.SignerOpts) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case *pki.P256KPublicKey:
		return key.Verify(digest, signature)
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(key, pss.Hash, digest, signature, pss) == nil
		}
		return rsa.VerifyPKCS1v15(key, opts.HashFunc(), digest, signature) == nil
	}
	return false
}

func pss(h crypto.Hash) *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
}

// signs checks every way of signing with a key.
func signs(t *testing.T, d *Device, id ID, public crypto.PublicKey) {
	t.Helper()
	k := d.Signer(id, public)
	if !pki.PublicEqual(k.Public(), public) {
		t.Error("the public key is another one")
	}
	_, isRSA := public.(*rsa.PublicKey)
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		options := []crypto.SignerOpts{h}
		if isRSA {
			options = append(options, pss(h))
		}
		for _, opts := range options {
			digest := random(h.Size())
			signature, err := k.Sign(rand.Reader, digest, opts)
			if err != nil || !verified(public, digest, signature, opts) {
				t.Errorf("%T, %v %T: %v", public, h, opts, err)
			}
			digest[0] ^= 1
			if verified(public, digest, signature, opts) {
				t.Fatal("the judge takes anything")
			}
			if _, err := k.Sign(rand.Reader, digest[1:], opts); err == nil {
				t.Errorf("%v: a digest that is too short is signed", h)
			}
		}
	}
	if !isRSA {
		return
	}
	for _, n := range []int{0, 1, 36, 245} {
		value := random(n)
		signature, err := k.Sign(rand.Reader, value, crypto.Hash(0))
		if err != nil || !verified(public, value, signature, crypto.Hash(0)) {
			t.Errorf("%d bytes as they are: %v", n, err)
		}
	}
	if _, err := k.Sign(rand.Reader, random(public.(*rsa.PublicKey).Size()-10), crypto.Hash(0)); err == nil {
		t.Error("a block that is too long is signed")
	}
}

func TestGeneratedKeysSign(t *testing.T) {
	d := newHSM(t).open()
	for _, spec := range append(ecSpecs, rsa2048, pki.KeySpec{Algorithm: pki.RSA, Size: 3072}, pki.KeySpec{Algorithm: pki.RSA, Size: 4096}) {
		id, public := generate(t, d, spec)
		if got, err := pki.SpecOf(public); err != nil || got != spec {
			t.Errorf("got %v, %v for %v", got, err, spec)
		}
		if spec.Size < 3072 {
			signs(t, d, id, public)
		}
	}
	for _, bad := range []pki.KeySpec{{}, {Algorithm: pki.RSA, Size: 1024}, {Algorithm: pki.RSA, Size: 2048, Curve: pki.P256},
		{Algorithm: pki.EC, Size: 384, Curve: pki.P256}, {Algorithm: pki.EC, Size: 256}, octSpec(0), octSpec(100), octSpec(1024), octSpec(129)} {
		if _, err := d.Generate(t.Context(), NewID(), bad); !errors.Is(err, pki.ErrKeyType) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := d.Generate(t.Context(), ID{}, rsa2048); err == nil {
		t.Error("a key without an id")
	}
}

func TestImportedKeysSignAndStay(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	for _, spec := range append(ecSpecs, rsa2048) {
		private, err := pki.Generate(spec)
		if err != nil {
			t.Fatal(err)
		}
		id := NewID()
		if err := d.Import(t.Context(), id, private); err != nil {
			t.Fatalf("%v: %v", spec, err)
		}
		signs(t, d, id, private.Public())
	}
	if _, after, ok := strings.Cut(k.objects(), "Private Key"); !ok || !strings.Contains(after, "sensitive") || strings.Contains(after, "  Access:     extractable") {
		t.Errorf("pkcs11-tool sees\n%s", after)
	}
}

// What is generated was never outside: pkcs11-tool says so.
func TestGeneratedKeysWereNeverOutside(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	for _, spec := range []pki.KeySpec{rsa2048, ecSpecs[0], ecSpecs[3], octSpec(128), octSpec(256), octSpec(512)} {
		id, _ := generate(t, d, spec)
		objects := k.objects()
		want := 1
		if spec == octSpec(256) {
			want = 2 // for AES, for HMAC
		}
		if n := strings.Count(objects, "Access:     sensitive, always sensitive, never extractable, local"); n != want {
			t.Errorf("%v: %d objects, want %d:\n%s", spec, n, want, objects)
		}
		if strings.Contains(objects, "Public Key") {
			t.Errorf("a public key is left:\n%s", objects)
		}
		if err := d.Destroy(t.Context(), id); err != nil {
			t.Error(err)
		}
		if left := k.objects(); strings.Contains(left, "Object") {
			t.Errorf("left:\n%s", left)
		}
		if err := d.Destroy(t.Context(), id); err != nil {
			t.Errorf("again: %v", err)
		}
	}
	_, public := generate(t, d, ecSpecs[0])
	if _, err := d.Signer(NewID(), public).Sign(nil, random(32), crypto.SHA256); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	if _, err := d.Secret(NewID()).Bits(t.Context()); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
}

func TestRSADecrypts(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	id, p := generate(t, d, rsa2048)
	public := p.(*rsa.PublicKey)
	private := d.Signer(id, public).(crypto.Decrypter)
	bad := random(public.Size())
	bad[0] = 0 // below the modulus
	above := public.N.FillBytes(make([]byte, public.Size()))
	//lint:ignore SA1019 RSA1_5 is an algorithm of the contract
	options := map[string]crypto.DecrypterOpts{"RSA1_5": nil, "RSA1_5 too": &rsa.PKCS1v15DecryptOptions{}}
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		options[h.String()] = &rsa.OAEPOptions{Hash: h}
	}
	for name, opts := range options {
		for _, n := range []int{0, 1, 32, 126} {
			plain := random(n)
			var ciphertext []byte
			var err error
			if o, ok := opts.(*rsa.OAEPOptions); ok {
				ciphertext, err = rsa.EncryptOAEP(o.Hash.New(), rand.Reader, public, plain, nil)
			} else {
				//lint:ignore SA1019 as above
				ciphertext, err = rsa.EncryptPKCS1v15(rand.Reader, public, plain)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := private.Decrypt(nil, ciphertext, opts); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %d bytes: %x, %v", name, n, got, err)
			}
		}
		for _, refused := range [][]byte{bad, above, bad[1:], {}, nil} {
			if _, err := private.Decrypt(nil, refused, opts); err != ErrRefused {
				t.Errorf("%s, %d bytes: %v", name, len(refused), err)
			}
		}
	}
	//lint:ignore SA1019 as above
	sessionKey := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 16}
	for _, opts := range []crypto.DecrypterOpts{sessionKey, &rsa.OAEPOptions{}, &rsa.OAEPOptions{Hash: crypto.MD5}, &rsa.OAEPOptions{Hash: crypto.SHA256, Label: []byte("x")},
		&rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA1}, "?"} {
		if _, err := private.Decrypt(nil, bad, opts); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("%v: %v", opts, err)
		}
	}
	// However much is refused, the HSM is not taken for broken.
	if n := k.lines("level=ERROR"); n != 0 {
		t.Errorf("the log:\n%s", k.log.String())
	}
}

// The padding is judged as crypto/rsa judges it, wherever it is wrong.
func TestOAEPPaddingIsJudgedAsInGo(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &key.PublicKey, []byte("message"), nil)
	if err != nil {
		t.Fatal(err)
	}
	e, n := big.NewInt(int64(key.E)), key.N
	good := new(big.Int).Exp(new(big.Int).SetBytes(ciphertext), key.D, n).FillBytes(make([]byte, 256))
	if got, err := decodeOAEP(crypto.SHA1, bytes.TrimLeft(good, "\x00"), 256); err != nil || string(got) != "message" {
		t.Errorf("without its leading zeros: %q, %v", got, err)
	}
	// The block without its masks: zero, seed, and what the padding is in.
	clear := bytes.Clone(good)
	xorMGF1(clear[1:21], crypto.SHA1, clear[21:])
	xorMGF1(clear[21:], crypto.SHA1, clear[1:21])
	agreed := 0
	for at := range clear {
		for _, change := range []byte{1, 0x80} {
			block := bytes.Clone(clear)
			block[at] ^= change
			xorMGF1(block[21:], crypto.SHA1, block[1:21])
			xorMGF1(block[1:21], crypto.SHA1, block[21:])
			m := new(big.Int).SetBytes(block)
			if m.Cmp(n) >= 0 {
				continue
			}
			want, wantErr := rsa.DecryptOAEP(sha1.New(), nil, key, m.Exp(m, e, n).FillBytes(make([]byte, 256)), nil)
			got, err := decodeOAEP(crypto.SHA1, block, 256)
			if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) || err != nil && err != ErrRefused {
				t.Errorf("byte %d: %q, %v; crypto/rsa: %q, %v", at, got, err, want, wantErr)
			}
			if err == nil {
				agreed++
			}
		}
	}
	block := bytes.Clone(clear)
	for i := range block[41:] {
		block[41+i] = 0 // neither a one nor a message
	}
	xorMGF1(block[21:], crypto.SHA1, block[1:21])
	xorMGF1(block[1:21], crypto.SHA1, block[21:])
	if got, err := decodeOAEP(crypto.SHA1, block, 256); err != ErrRefused {
		t.Errorf("zeros only: %q, %v", got, err)
	}
	// The seed may be anything; so may the message; and a one may come early.
	if want := 2*(20+len("message")) + 207; agreed != want {
		t.Errorf("%d changed blocks are good, not %d", agreed, want)
	}
}

func TestDestroyLeavesOthersAlone(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	id, _ := generate(t, d, octSpec(128))
	other, _ := generate(t, d, octSpec(128))
	// A key of somebody else's that has the same id.
	k.run("pkcs11-tool", "--module", softHSMPath, "--token-label", "coffer-test", "--login", "--pin", pin,
		"--keygen", "--key-type", "AES:16", "--label", "theirs", "--id", strings.ReplaceAll(strings.TrimPrefix(id.String(), idURI), "%", ""))
	if err := d.Destroy(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if left := k.objects(); !strings.Contains(left, "theirs") || strings.Count(left, "Secret Key") != 2 {
		t.Errorf("left:\n%s", left)
	}
	if bits, err := d.Secret(other).Bits(t.Context()); err != nil || bits != 128 {
		t.Errorf("%d, %v", bits, err)
	}
}
