package key_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/pki"
)

// outside is a key that openssl made, and openssl to use it.
type outside struct {
	testing.TB
	dir     string
	private string // its file
	public  string
	key     crypto.Signer
}

func newOutside(t testing.TB, args ...string) *outside {
	t.Helper()
	o := &outside{TB: t, dir: t.TempDir()}
	o.private, o.public = filepath.Join(o.dir, "private.pem"), filepath.Join(o.dir, "public.pem")
	o.openssl(append([]string{"genpkey", "-out", o.private}, args...)...)
	o.openssl("pkey", "-in", o.private, "-pubout", "-out", o.public)
	text, err := os.ReadFile(o.private)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if o.key, err = pki.ParsePKCS8(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *outside) openssl(args ...string) []byte {
	o.Helper()
	out, err := exec.Command("openssl", args...).Output()
	if err != nil {
		o.Fatalf("openssl %v: %v", args, err)
	}
	return out
}

func (o *outside) file(content []byte) string {
	o.Helper()
	f, err := os.CreateTemp(o.dir, "*")
	if err != nil {
		o.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		o.Fatal(err)
	}
	return f.Name()
}

// pkeyutl runs openssl pkeyutl with options.
func (o *outside) pkeyutl(verb string, input []byte, opts ...string) []byte {
	o.Helper()
	inkey := []string{"-inkey", o.private}
	if verb == "-encrypt" {
		inkey = []string{"-inkey", o.public, "-pubin"}
	}
	args := append([]string{"pkeyutl", verb, "-in", o.file(input)}, inkey...)
	for _, opt := range opts {
		args = append(args, "-pkeyopt", opt)
	}
	return o.openssl(args...)
}

func (o *outside) verifies(digest, signature []byte, opts ...string) bool {
	args := []string{"pkeyutl", "-verify", "-pubin", "-inkey", o.public, "-in", o.file(digest), "-sigfile", o.file(signature)}
	for _, opt := range opts {
		args = append(args, "-pkeyopt", opt)
	}
	return exec.Command("openssl", args...).Run() == nil
}

type rs struct{ R, S *big.Int }

// toDER and toRaw are between openssl's form of an ECDSA signature and ours.
func toDER(t testing.TB, raw []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(rs{new(big.Int).SetBytes(raw[:len(raw)/2]), new(big.Int).SetBytes(raw[len(raw)/2:])})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func toRaw(t testing.TB, der []byte, field int) []byte {
	t.Helper()
	var v rs
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		t.Fatal(err)
	}
	return append(v.R.FillBytes(make([]byte, field)), v.S.FillBytes(make([]byte, field))...)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// Every signature algorithm, both ways against openssl, with a key that openssl
// made and the vault imported.
func TestSignaturesAgainstOpenSSL(t *testing.T) {
	w := newInstallation(t)
	rsa := map[int]*outside{}
	for _, size := range []int{2048, 3072} {
		rsa[size] = newOutside(t, "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:"+strconv.Itoa(size))
	}
	ec := func(curve string) *outside {
		return newOutside(t, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:"+curve)
	}
	const pkcs1, pss = "rsa_padding_mode:pkcs1", "rsa_padding_mode:pss"
	const salt = "rsa_pss_saltlen:digest"
	for _, c := range []struct {
		alg    string
		key    *outside
		digest int
		field  int // of a curve
		opts   []string
	}{
		{"RS256", rsa[2048], 32, 0, []string{pkcs1, "digest:sha256"}},
		{"RS384", rsa[3072], 48, 0, []string{pkcs1, "digest:sha384"}},
		{"RS512", rsa[3072], 64, 0, []string{pkcs1, "digest:sha512"}},
		{"PS256", rsa[2048], 32, 0, []string{pss, "digest:sha256", salt}},
		{"PS384", rsa[3072], 48, 0, []string{pss, "digest:sha384", salt}},
		{"PS512", rsa[3072], 64, 0, []string{pss, "digest:sha512", salt}},
		{"RSNULL", rsa[2048], 36, 0, []string{pkcs1}}, // MD5 and SHA-1, as old TLS signs
		{"ES256", ec("P-256"), 32, 32, []string{"digest:sha256"}},
		{"ES384", ec("P-384"), 48, 48, []string{"digest:sha384"}},
		{"ES512", ec("P-521"), 64, 66, []string{"digest:sha512"}},
		{"ES256K", ec("secp256k1"), 32, 32, []string{"digest:sha256"}},
		{"ECDSA256", ec("secp256k1"), 32, 32, []string{"digest:sha256"}},
	} {
		t.Run(c.alg, func(t *testing.T) {
			name := strings.ToLower(c.alg)
			_, err := w.importing(name, imported(c.key.key))
			w.must(err)
			digest := random(c.digest)

			ours, err := w.use(name, key.Sign, c.alg, digest, nil)
			w.must(err)
			outer := ours
			if c.field > 0 {
				if len(ours) != 2*c.field {
					t.Fatalf("%d bytes", len(ours))
				}
				outer = toDER(t, ours)
			}
			if !c.key.verifies(digest, outer, c.opts...) {
				t.Error("openssl refuses our signature")
			}
			theirs := c.key.pkeyutl("-sign", digest, c.opts...)
			if c.field > 0 {
				theirs = toRaw(t, theirs, c.field)
			}
			verify := func(digest, signature []byte) bool {
				t.Helper()
				valid, err := w.use(name, key.Verify, c.alg, digest, signature)
				if err != nil {
					t.Errorf("%d bytes of signature: %v", len(signature), err)
				}
				return valid != nil
			}
			if !verify(digest, theirs) || !verify(digest, ours) {
				t.Error("a good signature is refused")
			}
			for i := 0; i < len(theirs); i += 7 {
				broken := bytes.Clone(theirs)
				broken[i] ^= 1
				if verify(digest, broken) {
					t.Errorf("byte %d of the signature does not matter", i)
				}
			}
			for _, bad := range [][]byte{nil, {}, theirs[1:], append(bytes.Clone(theirs), 0), append([]byte{0}, theirs...), make([]byte, len(theirs)), random(len(theirs))} {
				if verify(digest, bad) {
					t.Errorf("a signature of %d bytes is taken", len(bad))
				}
			}
			if verify(random(c.digest), theirs) {
				t.Error("a signature of something else is taken")
			}
		})
	}
	// A salt of another length is another algorithm.
	digest := random(32)
	long := rsa[2048].pkeyutl("-sign", digest, pss, "digest:sha256", "rsa_pss_saltlen:64")
	if valid, err := w.use("ps256", key.Verify, "PS256", digest, long); err != nil || valid != nil {
		t.Errorf("a salt of 64 bytes: %q, %v", valid, err)
	}
}

// Every way to encrypt and wrap, both ways against openssl.
func TestEncryptionAgainstOpenSSL(t *testing.T) {
	w := newInstallation(t)
	for _, size := range []int{2048, 3072} {
		o := newOutside(t, "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:"+strconv.Itoa(size))
		name := "rsa-" + strconv.Itoa(size)
		_, err := w.importing(name, imported(o.key))
		w.must(err)
		for _, c := range []struct {
			alg      string
			overhead int
			opts     []string
		}{
			{"RSA1_5", 11, []string{"rsa_padding_mode:pkcs1"}},
			{"RSA-OAEP", 42, []string{"rsa_padding_mode:oaep", "rsa_oaep_md:sha1", "rsa_mgf1_md:sha1"}},
			{"RSA-OAEP-256", 66, []string{"rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"}},
		} {
			for _, ops := range [][2]key.Op{{key.Encrypt, key.Decrypt}, {key.WrapKey, key.UnwrapKey}} {
				t.Run(name+" "+c.alg+" "+string(ops[0]), func(t *testing.T) {
					lengths := []int{0, 32, size/8 - c.overhead}
					if ops[0] == key.WrapKey { // the same code
						lengths = lengths[1:2]
					}
					for _, length := range lengths {
						plain := random(length)
						ours, err := w.use(name, ops[0], c.alg, plain, nil)
						w.must(err)
						if len(ours) != size/8 {
							t.Errorf("%d bytes", len(ours))
						}
						if got := o.pkeyutl("-decrypt", ours, c.opts...); !bytes.Equal(got, plain) {
							t.Errorf("openssl reads %x, want %x", got, plain)
						}
						theirs := o.pkeyutl("-encrypt", plain, c.opts...)
						if got, err := w.use(name, ops[1], c.alg, theirs, nil); err != nil || !bytes.Equal(got, plain) {
							t.Errorf("%x, %v; want %x", got, err, plain)
						}
					}
					_, err := w.use(name, ops[0], c.alg, random(size/8-c.overhead+1), nil)
					w.refused(err, fault.Invalid, "", "takes at most "+strconv.Itoa(size/8-c.overhead)+" bytes")
				})
			}
		}
	}
}

// Whatever is wrong with what is to be decrypted, the answer is the same.
func TestDecryptionFailuresAreAlike(t *testing.T) {
	w := newInstallation(t)
	o := newOutside(t, "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
	_, err := w.importing("web", imported(o.key))
	w.must(err)
	raw := func(block []byte) []byte { return o.pkeyutl("-encrypt", block, "rsa_padding_mode:none") }
	block := func(begin ...byte) []byte { return append(begin, bytes.Repeat([]byte{7}, 256-len(begin))...) }
	for alg, want := range map[string]string{
		"RSA1_5": "Unable to decrypt specified value with this key", "RSA-OAEP": "Error occurred while decoding OAEP padding.",
		"RSA-OAEP-256": "Error occurred while decoding OAEP padding.",
	} {
		for _, op := range []key.Op{key.Decrypt, key.UnwrapKey} {
			good, err := w.use("web", key.Encrypt, alg, []byte("secret"), nil)
			w.must(err)
			flipped := bytes.Clone(good)
			flipped[255] ^= 1
			for claim, bad := range map[string][]byte{
				"nothing": nil, "one byte": {1}, "cut": good[:255], "longer": append(bytes.Clone(good), 0), "much longer": random(10_000),
				"flipped": flipped, "random": random(256), "larger than the modulus": bytes.Repeat([]byte{255}, 256), "zero": make([]byte, 256),
				"no zero in front":           raw(block(1, 2)),
				"block type 1":               raw(block(0, 1)),
				"no separator":               raw(block(0, 2)),
				"an early separator":         raw(append(block(0, 2, 9, 9, 0)[:6:6], block(0, 2, 9, 9, 0)[6:]...)),
				"separator at the very end":  raw(append(block(0, 1)[:255:255], 0)),
				"nonzero bytes in the front": raw(block(0, 0)),
				"block type 7":               raw(block(0)),
			} {
				got, err := w.use("web", op, alg, bad, nil)
				var e *fault.Error
				if e, _ = err.(*fault.Error); got != nil || e == nil || e.Kind != fault.Invalid || e.Msg != want || e.Err != nil || e.Field != "value" {
					t.Errorf("%s %s: %q, %#v", alg, claim, got, err)
				}
			}
		}
	}
}

func TestDigestsHaveTheirLength(t *testing.T) {
	w := newInstallation(t)
	w.made("rsa", "RSA")
	w.made("ec", "EC")
	for _, c := range []struct {
		name, alg string
		length    int
		want      string
	}{
		{"ec", "ES256", 44, "44 bytes. ES256 requires 32 bytes, encoded with base64url."},
		{"ec", "ES256", 0, "0 bytes. ES256 requires 32 bytes"},
		{"rsa", "RS256", 31, "31 bytes. RS256 requires 32 bytes"},
		{"rsa", "PS384", 64, "64 bytes. PS384 requires 48 bytes"},
		{"rsa", "RS512", 10_000, "10000 bytes. RS512 requires 64 bytes"},
		{"rsa", "RSNULL", 246, "246 bytes. RSNULL with a key of 2048 bits takes at most 245 bytes."},
	} {
		for field, op := range map[string]key.Op{"value": key.Sign, "digest": key.Verify} {
			_, err := w.use(c.name, op, c.alg, random(c.length), random(64))
			w.refused(err, fault.Invalid, "", "Invalid length of '"+field+"': "+c.want)
		}
	}
	for _, length := range []int{0, 1, 245} {
		digest := random(length)
		signature, err := w.use("rsa", key.Sign, "RSNULL", digest, nil)
		w.must(err)
		if valid, err := w.use("rsa", key.Verify, "RSNULL", digest, signature); err != nil || valid == nil {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

func TestAlgorithmsGoWithTheirKeys(t *testing.T) {
	w := newInstallation(t)
	w.made("rsa", "RSA")
	w.made("ec", "EC")
	k := w.made("k", "EC", func(p *key.CreateParams) { p.Curve = ptr("SECP256K1") }).Version
	kid := "https://here/keys/k/" + string(k.Version)
	for _, c := range []struct {
		name string
		op   key.Op
		alg  string
		want string
	}{
		{"k", key.Sign, "ES256", "Key and signing algorithm are incompatible. Key " + kid + " uses curve 'P-256K', and algorithm 'ES256' can only be used with curve 'P-256'."},
		{"ec", key.Sign, "ES512", "uses curve 'P-256', and algorithm 'ES512' can only be used with curve 'P-521'."},
		{"ec", key.Verify, "ES256K", "can only be used with curve 'P-256K'."},
		{"rsa", key.Sign, "ES256", "is of type 'RSA', and algorithm 'ES256' can only be used with a key of type 'EC' or 'EC-HSM'."},
		{"ec", key.Verify, "RS256", "is of type 'EC', and algorithm 'RS256' can only be used with a key of type 'RSA' or 'RSA-HSM'."},
		{"rsa", key.Sign, "HS256", "Key and signing algorithm are incompatible."},
		{"rsa", key.Encrypt, "A256GCM", "Key and encryption algorithm are incompatible."},
		{"rsa", key.UnwrapKey, "A128KW", "can only be used with a key of type 'oct' or 'oct-HSM'."},
	} {
		_, err := w.use(c.name, c.op, c.alg, random(32), random(64))
		w.refused(err, fault.Invalid, "", c.want)
	}
	for _, c := range []struct {
		name string
		op   key.Op
	}{{"RS256", key.Encrypt}, {"RSA-OAEP", key.Sign}, {"A128KW", key.Verify}, {"none", key.Verify}, {"", key.Sign}, {"rs256", key.Sign}, {"EdDSA", key.Sign}} {
		if _, ok := key.ParseAlgorithm(c.name, c.op); ok {
			t.Errorf("%s is there to %s", c.name, c.op)
		}
	}
}

// The table of contract keys.md, 5.1, in its order: disabled, dates, key_ops.
func TestWhatAKeyMayBeUsedFor(t *testing.T) {
	w := newInstallation(t)
	w.made("web", "RSA")
	sum := sha256.Sum256(nil)
	sealed, err := w.use("web", key.Encrypt, "RSA-OAEP", []byte("x"), nil)
	w.must(err)
	signature, err := w.use("web", key.Sign, "RS256", sum[:], nil)
	w.must(err)
	try := func(op key.Op) error {
		switch op {
		case key.Sign:
			_, err = w.use("web", op, "RS256", sum[:], nil)
		case key.Verify:
			_, err = w.use("web", op, "RS256", sum[:], signature)
		case key.Decrypt, key.UnwrapKey:
			_, err = w.use("web", op, "RSA-OAEP", sealed, nil)
		default:
			_, err = w.use("web", op, "RSA-OAEP", []byte("x"), nil)
		}
		return err
	}
	all := []key.Op{key.Encrypt, key.Decrypt, key.WrapKey, key.UnwrapKey, key.Sign, key.Verify}
	makes := map[key.Op]bool{key.Encrypt: true, key.WrapKey: true, key.Sign: true}
	dates := func(from, to time.Duration) key.Given {
		return key.Given{NotBefore: ptr(w.now().Add(from)), Expires: ptr(w.now().Add(to))}
	}
	for _, c := range []struct {
		claim        string
		given        key.Given
		making       fault.Reason // what the makers are told
		others       fault.Reason
		makingText   string
		othersPrefix string
	}{
		{"disabled", key.Given{Enabled: ptr(false)}, fault.KeyDisabled, fault.KeyDisabled, " is not allowed on a disabled key.", " is not allowed on a disabled key."},
		{"disabled and without operations", key.Given{Ops: []string{}}, fault.KeyDisabled, fault.KeyDisabled, "disabled", "disabled"},
		{"enabled, without operations", key.Given{Enabled: ptr(true)}, "KeyOperationForbidden", "KeyOperationForbidden", " is not permitted on this key.", " is not permitted on this key."},
		{"not yet valid, without operations", dates(time.Second, time.Hour), "KeyNotYetValid", "KeyOperationForbidden", " is not allowed on a key that is not yet valid.", "permitted"},
		{"not yet valid", key.Given{Ops: []string{"encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify"}}, "KeyNotYetValid", "", "not yet valid", ""},
		{"valid from now on", dates(0, time.Second), "", "", "", ""},
		{"over now", dates(-time.Hour, 0), "KeyExpired", "", " is not allowed on an expired key.", ""},
	} {
		_, err := w.update("web", "", c.given)
		w.must(err)
		for _, op := range all {
			reason, text := c.others, c.othersPrefix
			if makes[op] {
				reason, text = c.making, c.makingText
			}
			if err := try(op); reason == "" {
				if err != nil {
					t.Errorf("%s, %s: %v", c.claim, op, err)
				}
			} else {
				w.refused(err, fault.Forbidden, reason, text)
				if want := "Operation " + string(op) + " "; err != nil && !strings.HasPrefix(err.Error(), want) {
					t.Errorf("%s: %v does not begin with %q", c.claim, err, want)
				}
			}
		}
	}
	// Reading and changing go on.
	if b := w.get("web"); !b.Version.Attributes.Enabled {
		t.Error("disabled")
	}
	_, err = w.service.Rotate(t.Context(), w.grant(access.KeyRotate, "web"))
	w.must(err)
	if err := try(key.Sign); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
}

func TestUseIsOfOneVersion(t *testing.T) {
	w := newInstallation(t)
	first := w.made("web", "RSA").Version.Version
	second := w.made("web", "RSA").Version.Version
	sealed, err := w.useWith(w.grant(access.KeyEncrypt, "web"), first, key.Encrypt, "RSA-OAEP", []byte("x"), nil)
	w.must(err)
	if got, err := w.useWith(w.grant(access.KeyDecrypt, "WEB"), first, key.Decrypt, "RSA-OAEP", sealed, nil); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	// Without a version it is the latest only.
	_, err = w.use("web", key.Decrypt, "RSA-OAEP", sealed, nil)
	w.refused(err, fault.Invalid, "", "OAEP")
	_, err = w.useWith(w.grant(access.KeyDecrypt, "web"), second, key.Decrypt, "RSA-OAEP", sealed, nil)
	w.refused(err, fault.Invalid, "", "OAEP")
	_, err = w.useWith(w.grant(access.KeyDecrypt, "web"), id(7), key.Decrypt, "RSA-OAEP", sealed, nil)
	w.refused(err, fault.NotFound, "", "web/"+string(id(7)))
	w.remove("web")
	_, err = w.useWith(w.grant(access.KeyDecrypt, "web"), first, key.Decrypt, "RSA-OAEP", sealed, nil)
	w.refused(err, fault.NotFound, "", "was not found")
}

// Who may only read a key uses its public half: no box is opened for that.
func TestPublicUseOpensNoBox(t *testing.T) {
	w := newInstallation(t)
	w.made("web", "RSA")
	before := w.opens.Load()
	for _, op := range []key.Op{key.Encrypt, key.WrapKey} {
		_, err := w.use("web", op, "RSA-OAEP-256", []byte("x"), nil)
		w.must(err)
	}
	if _, err := w.use("web", key.Verify, "RS256", random(32), random(256)); err != nil {
		t.Error(err)
	}
	if n := w.opens.Load() - before; n != 0 {
		t.Errorf("%d boxes were opened", n)
	}
	_, err := w.use("web", key.Sign, "RS256", random(32), nil)
	w.must(err)
	if n := w.opens.Load() - before; n != 1 {
		t.Errorf("%d boxes were opened, want 1", n)
	}
}

func TestUseNeedsItsOwnGrant(t *testing.T) {
	w := newInstallation(t)
	w.made("web", "RSA")
	for op := range words {
		for other, action := range words {
			if op == other {
				continue
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s with a grant to %s", op, other)
					}
				}()
				alg := "RSA-OAEP"
				if op == key.Sign || op == key.Verify {
					alg = "RS256"
				}
				w.useWith(w.grant(action, "web"), "", op, alg, random(32), random(32))
			}()
		}
	}
}

func TestReleaseIsRefused(t *testing.T) {
	w := newInstallation(t)
	w.made("web", "EC")
	w.refused(w.service.Release(t.Context(), w.grant(access.KeyRelease, "web"), ""), fault.Forbidden, "KeyOperationForbidden", "Operation release is not permitted on this key.")
	w.refused(w.service.Release(t.Context(), w.grant(access.KeyRelease, "nobody"), ""), fault.NotFound, "", "nobody")
	_, err := w.update("web", "", key.Given{Enabled: ptr(false)})
	w.must(err)
	w.refused(w.service.Release(t.Context(), w.grant(access.KeyRelease, "web"), ""), fault.Forbidden, fault.KeyDisabled, "Operation release is not allowed on a disabled key.")
}

func TestRandomBytes(t *testing.T) {
	w := newInstallation(t)
	grant := w.grant(access.KeyGetRandomBytes, "")
	seen := map[string]bool{}
	for _, count := range []int{16, 16, 127, 128} {
		v, err := w.service.RandomBytes(t.Context(), grant, count)
		if err != nil || len(v.Reveal()) != count || seen[string(v.Reveal())] {
			t.Errorf("%d: %d bytes, %v", count, len(v.Reveal()), err)
		}
		seen[string(v.Reveal())] = true
	}
	for _, count := range []int{-1, 0, 129, 1 << 30} {
		_, err := w.service.RandomBytes(t.Context(), grant, count)
		w.refused(err, fault.Invalid, "", "GetRandomBytesRequest: count cannot be greater than 128 or less than 1.")
	}
}
