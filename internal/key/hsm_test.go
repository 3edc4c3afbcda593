package key_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/hsm"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/key/keytest"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// hardware is an installation whose home is premium, with an HSM.
type hardware struct {
	*installation
	hsm *keytest.HSM
}

func newHardware(t testing.TB) *hardware {
	t.Helper()
	device := &keytest.HSM{}
	w := newInstallation(t, func(c *key.Config) { c.Device = device })
	w.home = w.premium
	return &hardware{w, device}
}

// destroyJobs claims the jobs that destroy keys in the HSM and are due.
func (w *hardware) destroyJobs() (list []jobs.Job) {
	w.Helper()
	ctx := w.Context()
	w.must(w.db.Update(ctx, func(tx *store.Tx) (err error) {
		list, err = tx.ClaimJobs(ctx, []jobs.Kind{key.DestroyJob}, w.now(), w.now(), w.now().Add(time.Minute), 1000)
		return err
	}))
	return list
}

// settle does these jobs.
func (w *hardware) settle() error {
	w.Helper()
	var errs []error
	for _, j := range w.destroyJobs() {
		errs = append(errs, w.service.DestroyInHSM(w.Context(), j))
	}
	return errors.Join(errs...)
}

// pendingJobs counts the jobs that destroy keys in the HSM.
func (w *hardware) pendingJobs() (n int) {
	w.Helper()
	w.must(w.db.View(w.Context(), func(tx *store.Tx) error {
		list, err := tx.Jobs(w.Context())
		for _, j := range list {
			if j.Kind == key.DestroyJob {
				n++
			}
		}
		return err
	}))
	return n
}

// held are the keys in the HSM that the database has.
func (w *hardware) held() (ids []hsm.ID) {
	w.Helper()
	ctx := w.Context()
	w.must(w.db.View(ctx, func(tx *store.Tx) error {
		for _, v := range []*vault.Vault{w.near, w.premium} {
			list, err := tx.HSMKeys(ctx, v.ID, object.Name{})
			if err != nil {
				return err
			}
			ids = append(ids, list...)
		}
		return nil
	}))
	return ids
}

// same: after all jobs the HSM has what the database has, and no more.
func (w *hardware) same(what string) {
	w.Helper()
	w.pass(2 * time.Hour)
	if err := w.settle(); err != nil {
		w.Errorf("%s: %v", what, err)
	}
	if held, there := w.held(), w.hsm.IDs(); !slices.Equal(held, there) {
		w.Errorf("%s: the database has %v, the HSM %v", what, held, there)
	}
	if n := w.pendingJobs(); n != 0 {
		w.Errorf("%s: %d jobs are left", what, n)
	}
	w.check()
}

// Keys of HSM types are in the HSM, and only the handle is in the box.
func TestKeysOfHSMTypesAreInTheHSM(t *testing.T) {
	w := newHardware(t)
	for i, c := range []struct {
		p    key.CreateParams
		spec pki.KeySpec
		kind string
		ops  string
	}{
		{key.CreateParams{Type: "RSA-HSM"}, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, "RSA-HSM", "[encrypt decrypt sign verify wrapKey unwrapKey]"},
		{key.CreateParams{Type: "rsa-hsm", Given: key.Given{Ops: []string{"import"}}}, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, "RSA-HSM", "[import]"},
		{key.CreateParams{Type: "EC-HSM"}, pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256}, "EC-HSM", "[sign verify]"},
		{key.CreateParams{Type: "EC-HSM", Curve: ptr("P-256K")}, pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256K}, "EC-HSM", "[sign verify]"},
		{key.CreateParams{Type: "EC-HSM", Curve: ptr("P-521")}, pki.KeySpec{Algorithm: pki.EC, Size: 521, Curve: pki.P521}, "EC-HSM", "[sign verify]"},
		{key.CreateParams{Type: "oct-HSM"}, pki.KeySpec{Algorithm: pki.Oct, Size: 256}, "oct-HSM", "[encrypt decrypt wrapKey unwrapKey]"},
		{key.CreateParams{Type: "oct-HSM", Size: ptr(128)}, pki.KeySpec{Algorithm: pki.Oct, Size: 128}, "oct-HSM", "[encrypt decrypt wrapKey unwrapKey]"},
		{key.CreateParams{Type: "oct-HSM", Size: ptr(512)}, pki.KeySpec{Algorithm: pki.Oct, Size: 512}, "oct-HSM", "[sign verify]"},
	} {
		name := fmt.Sprintf("k-%d", i)
		b, err := w.create(name, c.p)
		w.must(err)
		v := b.Version
		if v.Type() != c.kind || v.Spec != c.spec || fmt.Sprint(v.Ops) != c.ops || v.Exportable {
			t.Errorf("%s: %s %+v %v", c.p.Type, v.Type(), v.Spec, v.Ops)
		}
		switch k := w.hsm.Key(v.HSM).(type) {
		case crypto.Signer:
			public, err := pki.ParsePublic(v.Public)
			w.must(err)
			if !pki.PublicEqual(public, k.Public()) {
				t.Errorf("%s: the public key is not that of the HSM", c.kind)
			}
		case []byte:
			if v.Public != nil || 8*len(k) != c.spec.Size {
				t.Errorf("%s: %d bits, public %x", c.kind, 8*len(k), v.Public)
			}
		default:
			t.Errorf("%s: the HSM has %T", c.kind, k)
		}
		content, err := w.sealer.Open(t.Context(), key.PrivatePlace(v.Vault, v.Name, v.Version), v.Private)
		w.must(err)
		if got := string(content.Reveal()); got != v.HSM.String() {
			t.Errorf("%s: the box holds %q", c.kind, got)
		}
	}
	if w.pairs.Load() != 0 {
		t.Errorf("%d keys were made in software", w.pairs.Load())
	}
	w.same("after the creates")
}

func TestHSMTypesNeedAPremiumVaultAndAnHSM(t *testing.T) {
	const text = "Hardware key operation not allowed on standard vault"
	soft, hard := newInstallation(t), newHardware(t)
	soft.home = soft.premium // without an HSM
	hard.home = hard.near    // standard
	for _, kty := range []string{"RSA-HSM", "EC-HSM", "oct-HSM", "OCT-hsm"} {
		for _, w := range []*installation{soft, hard.installation} {
			_, err := w.create("k", key.CreateParams{Type: kty})
			w.refused(err, fault.Forbidden, "", text)
			_, err = w.importing("k", key.ImportParams{Type: kty, K: seal.NewValue(make([]byte, 32))})
			w.refused(err, fault.Forbidden, "", text)
		}
	}
	for _, p := range []key.ImportParams{imported(rsaKeys()[0]), {Type: "oct", K: seal.NewValue(make([]byte, 32))}} {
		p.HSM = true
		_, err := hard.importing("k", p)
		hard.refused(err, fault.Forbidden, "", text)
	}
	hard.home = hard.premium
	_, err := hard.create("k", key.CreateParams{Type: "oct"})
	hard.refused(err, fault.Invalid, fault.KeyTypeNotSupported, "Invalid kty value: oct")
	_, err = hard.importing("k", key.ImportParams{Type: "oct", K: seal.NewValue(make([]byte, 32))})
	hard.refused(err, fault.Invalid, fault.KeyTypeNotSupported, "Invalid kty value: oct")
	hard.same("nothing was made")
}

func TestRefusedHSMKeys(t *testing.T) {
	w := newHardware(t)
	ec := w.made("ec", "EC-HSM")
	kek := w.made("kek", "RSA-HSM", func(p *key.CreateParams) { p.Ops = []string{"import", "import"} })
	w.made("plain", "RSA-HSM")
	for _, c := range []struct {
		name   string
		p      key.CreateParams
		kind   fault.Kind
		reason fault.Reason
		text   string
	}{
		{"size of RSA", key.CreateParams{Type: "RSA-HSM", Size: ptr(1024)}, fault.Invalid, fault.KeySizeNotSupported, "Supported sizes are [2048, 3072, 4096]"},
		{"size of oct", key.CreateParams{Type: "oct-HSM", Size: ptr(255)}, fault.Invalid, fault.KeySizeNotSupported, "Supported sizes are [128, 192, 256, 384, 512]"},
		{"import with others", key.CreateParams{Type: "RSA-HSM", Given: key.Given{Ops: []string{"import", "sign"}}}, fault.Invalid, "", `Unsupported key operation(s): "import"`},
		{"import of EC", key.CreateParams{Type: "EC-HSM", Given: key.Given{Ops: []string{"import"}}}, fault.Invalid, "", `Supported values are "sign", "verify"`},
		{"import of software", key.CreateParams{Type: "RSA", Given: key.Given{Ops: []string{"import"}}}, fault.Invalid, "", "Unsupported key operation(s)"},
		{"import of oct", key.CreateParams{Type: "oct-HSM", Given: key.Given{Ops: []string{"import"}}}, fault.Invalid, "", "Unsupported key operation(s)"},
		{"exportable", key.CreateParams{Type: "RSA-HSM", Given: key.Given{Exportable: ptr(true), Release: true}}, fault.Unsupported, "", "there is no key release"},
		{"exportable without a policy", key.CreateParams{Type: "EC-HSM", Given: key.Given{Exportable: ptr(true)}}, fault.Invalid, "", "AKV.SKR.1004"},
	} {
		before := len(w.hsm.IDs())
		_, err := w.create("new", c.p)
		w.refused(err, c.kind, c.reason, c.text)
		if len(w.hsm.IDs()) != before {
			t.Errorf("%s: a key was made", c.name)
		}
	}
	// What takes the transfer of keys can do nothing else, and nothing else can
	// become one: it would decrypt what was meant for the HSM only.
	for name, ops := range map[string][]string{"kek": {"decrypt"}, "plain": {"import"}} {
		_, err := w.update(name, "", key.Given{Ops: ops})
		w.refused(err, fault.Invalid, "", "Property key_ops has invalid value")
	}
	_, err := w.update("kek", "", key.Given{Ops: []string{}})
	w.refused(err, fault.Invalid, "", "Property key_ops has invalid value")
	_, err = w.use("kek", key.Decrypt, "RSA-OAEP", make([]byte, 256), nil)
	w.refused(err, fault.Forbidden, "KeyOperationForbidden", "Operation decrypt is not permitted on this key.")
	if got, err := w.service.Rotate(t.Context(), w.grant(access.KeyRotate, "kek")); err != nil || got.Version.HSM == kek.Version.HSM || fmt.Sprint(got.Version.Ops) != "[import]" {
		t.Errorf("rotated: %+v, %v", got, err)
	}
	// No backup, and no rotation once the vault is standard again.
	_, err = w.service.Backup(t.Context(), w.grant(access.KeyBackup, "ec"))
	w.refused(err, fault.Unsupported, "", "cannot leave it")
	standard := *w.premium
	standard.SKU = vault.Standard
	_, err = w.service.Rotate(t.Context(), w.grantIn(&standard, access.KeyRotate, "ec"))
	w.refused(err, fault.Forbidden, "", "Hardware key operation")
	if w.get("ec").Version.Version != ec.Version.Version {
		t.Error("it was rotated")
	}
	w.same("after the refusals")
}

// Keys in the HSM do what those in software do.
func TestKeysInTheHSMAreUsed(t *testing.T) {
	w := newHardware(t)
	w.made("rsa", "RSA-HSM")
	plain := []byte("attack at dawn")
	for _, alg := range []string{"RSA1_5", "RSA-OAEP", "RSA-OAEP-256"} {
		sealed, err := w.use("rsa", key.Encrypt, alg, plain, nil)
		w.must(err)
		got, err := w.use("rsa", key.Decrypt, alg, sealed, nil)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %q, %v", alg, got, err)
		}
		sealed[9] ^= 1
		if _, err := w.use("rsa", key.UnwrapKey, alg, sealed, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s, altered: %v", alg, err)
		}
	}
	digest := func(n int) []byte { return bytes.Repeat([]byte{7}, n) }
	for _, alg := range []string{"RS256", "PS256", "RSNULL"} {
		w.signs("rsa", alg, digest(32))
	}
	for curve, alg := range map[string]string{"P-256": "ES256", "P-256K": "ES256K", "P-384": "ES384", "P-521": "ES512"} {
		b := w.made("ec-"+curve, "EC-HSM", func(p *key.CreateParams) { p.Curve = &curve })
		n := map[string]int{"P-384": 48, "P-521": 64}[curve]
		raw := w.signs("ec-"+curve, alg, digest(max(n, 32)))
		public, err := pki.ParsePublic(b.Version.Public)
		w.must(err)
		if !pki.VerifyRaw(public, digest(max(n, 32)), raw) {
			t.Errorf("%s: the signature is not valid", alg)
		}
	}
	_, err := w.use("rsa", key.Sign, "ES256", digest(32), nil)
	w.refused(err, fault.Invalid, "", "is of type 'RSA-HSM', and algorithm 'ES256' can only be used with a key of type 'EC' or 'EC-HSM'.")
	// The handle is opened once for many uses.
	w.opens.Store(0)
	w.signs("rsa", "RS256", digest(32))
	if n := w.opens.Load(); n != 0 {
		t.Errorf("%d boxes were opened", n)
	}
}

// signs signs and verifies, and says whether another digest fails.
func (w *hardware) signs(name, alg string, digest []byte) []byte {
	w.Helper()
	sig, err := w.use(name, key.Sign, alg, digest, nil)
	w.must(err)
	for _, ok := range []bool{true, false} {
		if !ok {
			digest = bytes.Clone(digest)
			digest[0] ^= 1
		}
		got, err := w.use(name, key.Verify, alg, digest, sig)
		if err != nil || (got != nil) != ok {
			w.Errorf("%s of %s: valid %t, %v; want %t", alg, name, got != nil, err, ok)
		}
	}
	return sig
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// aes does an operation of AES with all that belongs to it.
func (w *hardware) aes(name string, op key.Op, alg string, change func(*key.UseParams)) (*key.Used, error) {
	w.Helper()
	a, ok := key.ParseAlgorithm(alg, op)
	if !ok {
		w.Fatalf("%s does not %s", alg, op)
	}
	p := key.UseParams{Op: op, Algorithm: a, KeyID: func(n object.Name, _ object.Version) string { return n.String() }}
	change(&p)
	if op == key.Encrypt || op == key.WrapKey {
		return w.service.Encrypt(w.Context(), w.grant(words[op], name), "", p)
	}
	return w.service.Decrypt(w.Context(), w.grant(words[op], name), "", p)
}

// The vectors of contract keys.md, 8.3 (RFC 3394, 4.1; RFC 5649, 6), and HMAC of
// RFC 4231, test case 1, with a key of the length that the vault takes.
func TestSymmetricKeys(t *testing.T) {
	w := newHardware(t)
	for name, k := range map[string]string{
		"k128": "000102030405060708090a0b0c0d0e0f", "k192": "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
		"k256": strings.Repeat("0b", 32), "k384": strings.Repeat("0b", 48),
	} {
		b, err := w.importing(name, key.ImportParams{Type: "oct-HSM", K: seal.NewValue(unhex(k)), Given: key.Given{
			Ops: []string{"encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify"}}})
		w.must(err)
		if b.Version.Spec.Size != 4*len(k) || b.Version.Type() != "oct-HSM" {
			t.Errorf("%s: %+v", name, b.Version.Spec)
		}
	}
	for _, c := range []struct{ name, alg, plain, wrapped string }{
		{"k128", "A128KW", "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		{"k128", "CKM_AES_KEY_WRAP", "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		{"k192", "CKM_AES_KEY_WRAP_PAD", "c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
		{"k192", "CKM_AES_KEY_WRAP_PAD", "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
	} {
		got, err := w.use(c.name, key.WrapKey, c.alg, unhex(c.plain), nil)
		if err != nil || hex.EncodeToString(got) != c.wrapped {
			t.Errorf("%s: wrapped %x, %v", c.alg, got, err)
		}
		if got, err = w.use(c.name, key.UnwrapKey, c.alg, unhex(c.wrapped), nil); err != nil || hex.EncodeToString(got) != c.plain {
			t.Errorf("%s: unwrapped %x, %v", c.alg, got, err)
		}
		bad := unhex(c.wrapped)
		bad[len(bad)-1] ^= 1
		_, err = w.use(c.name, key.UnwrapKey, c.alg, bad, nil)
		w.refused(err, fault.Invalid, "", "Unable to decrypt specified value with this key")
	}
	h := hmac.New(sha256.New, unhex(strings.Repeat("0b", 32)))
	h.Write([]byte("Hi There"))
	if mac := w.signs("k256", "HS256", []byte("Hi There")); !bytes.Equal(mac, h.Sum(nil)) {
		t.Errorf("HS256 is %x", mac)
	}
	w.signs("k384", "HS384", []byte("x"))
	if got, err := w.use("k256", key.Verify, "HS256", []byte("x"), []byte("short")); err != nil || got != nil {
		t.Errorf("a short code: %q, %v", got, err)
	}

	plain := []byte("attack at dawn!!")
	for _, alg := range []string{"A256GCM", "A256CBC", "A256CBCPAD"} {
		var ivs [][]byte
		for range 2 {
			u, err := w.aes("k256", key.Encrypt, alg, func(p *key.UseParams) {
				if p.Value = plain; alg == "A256GCM" {
					p.AAD = []byte("who")
				}
			})
			w.must(err)
			ivs = append(ivs, u.IV)
			open := func(change func(*key.UseParams)) ([]byte, error) {
				u, err := w.aes("k256", key.Decrypt, alg, func(p *key.UseParams) {
					p.Value, p.IV, p.Tag, p.AAD = bytes.Clone(u.Value.Reveal()), bytes.Clone(u.IV), bytes.Clone(u.Tag), u.AAD
					change(p)
				})
				if err != nil {
					return nil, err
				}
				return u.Value.Reveal(), nil
			}
			got, err := open(func(*key.UseParams) {})
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: %q, %v", alg, got, err)
			}
			if alg != "A256GCM" {
				continue
			}
			if len(u.IV) != 12 || len(u.Tag) != 16 || string(u.AAD) != "who" {
				t.Errorf("GCM: iv %x, tag %x, aad %q", u.IV, u.Tag, u.AAD)
			}
			for what, change := range map[string]func(*key.UseParams){
				"value": func(p *key.UseParams) { p.Value[0] ^= 1 }, "iv": func(p *key.UseParams) { p.IV[0] ^= 1 },
				"tag": func(p *key.UseParams) { p.Tag[0] ^= 1 }, "aad": func(p *key.UseParams) { p.AAD = []byte("you") },
			} {
				if _, err := open(change); err == nil || err.Error() != "Unable to decrypt specified value with this key" {
					t.Errorf("another %s: %v", what, err)
				}
			}
		}
		if bytes.Equal(ivs[0], ivs[1]) {
			t.Errorf("%s: the iv came twice", alg)
		}
	}
}

func TestRefusedUsesOfSymmetricKeys(t *testing.T) {
	w := newHardware(t)
	all := func(p *key.CreateParams) {
		p.Ops = []string{"encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify"}
	}
	w.made("k", "oct-HSM", all)
	w.made("long", "oct-HSM", all, func(p *key.CreateParams) { p.Size = ptr(512) })
	b := func(n int) []byte { return make([]byte, n) }
	for _, c := range []struct {
		name, alg string
		op        key.Op
		change    func(*key.UseParams)
		text      string
	}{
		{"k", "A128GCM", key.Encrypt, func(p *key.UseParams) {}, "has 256 bits, and algorithm 'A128GCM' can only be used with a key of 128 bits."},
		{"long", "CKM_AES_KEY_WRAP", key.WrapKey, func(p *key.UseParams) { p.Value = b(16) }, "can only be used with a key of at most 256 bits."},
		{"k", "RSA-OAEP", key.WrapKey, func(p *key.UseParams) {}, "is of type 'oct-HSM', and algorithm 'RSA-OAEP' can only be used with a key of type 'RSA' or 'RSA-HSM'."},
		{"k", "A256GCM", key.Encrypt, func(p *key.UseParams) { p.IV = b(12) }, "Property iv has invalid value"},
		{"k", "A256GCM", key.Decrypt, func(p *key.UseParams) { p.Value, p.Tag = b(1), b(16) }, "Property 'iv' is required."},
		{"k", "A256GCM", key.Decrypt, func(p *key.UseParams) { p.Value, p.IV = b(1), b(12) }, "Property 'tag' is required."},
		{"k", "A256GCM", key.Decrypt, func(p *key.UseParams) { p.Value, p.IV, p.Tag = b(1), b(16), b(16) }, "Invalid length of 'iv': 16 bytes. A256GCM requires 12 bytes."},
		{"k", "A256GCM", key.Decrypt, func(p *key.UseParams) { p.Value, p.IV, p.Tag = b(1), b(12), b(4) }, "Invalid length of 'tag': 4 bytes."},
		{"k", "A256CBC", key.Encrypt, func(p *key.UseParams) { p.Value = b(15) }, "Invalid length of 'value': 15 bytes. A256CBC requires a multiple of 16 bytes."},
		{"k", "A256CBC", key.Encrypt, func(p *key.UseParams) {}, "Invalid length of 'value': 0 bytes."},
		{"k", "A256CBC", key.Encrypt, func(p *key.UseParams) { p.Value, p.IV = b(16), b(12) }, "Invalid length of 'iv'"},
		{"k", "A256CBCPAD", key.Encrypt, func(p *key.UseParams) { p.AAD = b(1) }, "Property aad has invalid value"},
		{"k", "A256CBCPAD", key.Decrypt, func(p *key.UseParams) { p.Value = b(16) }, "Property 'iv' is required."},
		{"k", "A256CBCPAD", key.Decrypt, func(p *key.UseParams) { p.Value, p.IV = b(17), b(16) }, "Invalid length of 'value': 17 bytes."},
		{"k", "A256CBCPAD", key.Decrypt, func(p *key.UseParams) { p.IV = b(16) }, "Invalid length of 'value': 0 bytes."},
		{"k", "A256CBC", key.Decrypt, func(p *key.UseParams) { p.Value, p.IV, p.Tag = b(16), b(16), b(16) }, "Property tag has invalid value"},
		{"k", "A256KW", key.WrapKey, func(p *key.UseParams) { p.Value = b(8) }, "a multiple of 8 bytes, at least 16"},
		{"k", "A256KW", key.WrapKey, func(p *key.UseParams) { p.Value, p.IV = b(16), b(8) }, "Property iv has invalid value"},
		{"k", "A256KW", key.UnwrapKey, func(p *key.UseParams) { p.Value = b(16) }, "at least 24"},
		{"k", "CKM_AES_KEY_WRAP_PAD", key.WrapKey, func(p *key.UseParams) {}, "at least one byte"},
		{"k", "CKM_AES_KEY_WRAP_PAD", key.UnwrapKey, func(p *key.UseParams) { p.Value = b(8) }, "at least 16"},
	} {
		_, err := w.aes(c.name, c.op, c.alg, c.change)
		w.refused(err, fault.Invalid, "", c.text)
	}
	_, err := w.use("k", key.Sign, "HS256", nil, nil)
	w.refused(err, fault.Invalid, "", "Invalid length of 'value': 0 bytes. HS256 requires at least one.")
	// Encrypting is not wrapping.
	for alg, op := range map[string]key.Op{"A256GCM": key.WrapKey, "A256CBC": key.UnwrapKey, "A256KW": key.Encrypt, "CKM_AES_KEY_WRAP": key.Decrypt, "HS256": key.Encrypt} {
		if _, ok := key.ParseAlgorithm(alg, op); ok {
			t.Errorf("%s does %s", alg, op)
		}
	}
}

// transfer wraps a key for another one (contract keys.md, 9.2).
func (w *hardware) transfer(kek *key.Version, raw []byte) *key.Transfer {
	w.Helper()
	public, err := pki.ParsePublic(kek.Public)
	w.must(err)
	by := make([]byte, 32)
	rand.Read(by)
	head, err := rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, public.(*rsa.PublicKey), by, nil)
	w.must(err)
	tail, err := keytest.WrapPad(by, raw)
	w.must(err)
	return &key.Transfer{KEK: kek.Name, Version: kek.Version, Ciphertext: append(head, tail...)}
}

func TestKeysAreTransferredIntoTheHSM(t *testing.T) {
	w := newHardware(t)
	kek := w.made("kek", "RSA-HSM", func(p *key.CreateParams) { p.Ops = []string{"import"} }).Version
	other := w.made("other", "RSA-HSM").Version
	ec, err := pki.Generate(pki.KeySpec{Algorithm: pki.EC, Size: 384, Curve: pki.P384})
	w.must(err)
	der := func(k crypto.Signer) []byte {
		b, err := pki.MarshalPKCS8(k)
		w.must(err)
		return b
	}
	for name, c := range map[string]struct {
		p    key.ImportParams
		spec pki.KeySpec
		ops  string
	}{
		"rsa": {key.ImportParams{Type: "RSA-HSM", Transfer: w.transfer(kek, der(rsaKeys()[1]))}, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, "[encrypt decrypt sign verify wrapKey unwrapKey]"},
		"ec":  {key.ImportParams{Type: "EC-HSM", Curve: ptr("P-384"), Transfer: w.transfer(kek, der(ec))}, pki.KeySpec{Algorithm: pki.EC, Size: 384, Curve: pki.P384}, "[sign verify]"},
		"oct": {key.ImportParams{Type: "oct-HSM", Transfer: w.transfer(kek, make([]byte, 64))}, pki.KeySpec{Algorithm: pki.Oct, Size: 512}, "[sign verify]"},
		"hsm": {key.ImportParams{Type: "EC", HSM: true, Transfer: w.transfer(kek, der(ec))}, pki.KeySpec{Algorithm: pki.EC, Size: 384, Curve: pki.P384}, "[sign verify]"},
	} {
		b, err := w.importing(name, c.p)
		w.must(err)
		if b.Version.Spec != c.spec || fmt.Sprint(b.Version.Ops) != c.ops || w.hsm.Key(b.Version.HSM) == nil {
			t.Errorf("%s: %+v %v", name, b.Version.Spec, b.Version.Ops)
		}
	}
	altered := w.transfer(kek, der(ec))
	altered.Ciphertext[300] ^= 1
	for what, c := range map[string]struct {
		p    key.ImportParams
		text string
	}{
		"altered":            {key.ImportParams{Type: "EC-HSM", Transfer: altered}, "does not hold such a key"},
		"another type":       {key.ImportParams{Type: "RSA-HSM", Transfer: w.transfer(kek, der(ec))}, "does not hold such a key"},
		"another curve":      {key.ImportParams{Type: "EC-HSM", Curve: ptr("P-256"), Transfer: w.transfer(kek, der(ec))}, "on another curve"},
		"another size":       {key.ImportParams{Type: "oct-HSM", Transfer: w.transfer(kek, make([]byte, 20))}, "Unsupported key size (160)"},
		"for no import":      {key.ImportParams{Type: "EC-HSM", Transfer: w.transfer(other, der(ec))}, "a key that is not for import"},
		"for nobody":         {key.ImportParams{Type: "EC-HSM", Transfer: &key.Transfer{KEK: object.MustName("none"), Version: kek.Version}}, "this vault does not have"},
		"for software":       {key.ImportParams{Type: "EC", Transfer: w.transfer(kek, der(ec))}, "goes with an HSM type"},
		"for a fresh secret": {key.ImportParams{Type: "oct-HSM"}, "Property 'key.k' is required."},
	} {
		if _, err := w.importing("new", c.p); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = w.update("kek", "", key.Given{Enabled: ptr(false)})
	w.must(err)
	_, err = w.importing("new", key.ImportParams{Type: "EC-HSM", Transfer: w.transfer(kek, der(ec))})
	w.refused(err, fault.Forbidden, fault.KeyDisabled, "Operation import is not allowed on a disabled key.")
	w.same("after the imports")
}

// An HSM that is away answers 503 and leaves nothing; when it is back, all goes on.
func TestAnHSMThatIsAway(t *testing.T) {
	w := newHardware(t)
	w.made("rsa", "RSA-HSM")
	w.made("soft", "EC")
	k := w.made("oct", "oct-HSM").Version
	digest := make([]byte, 32)
	w.must(w.setPolicy("rsa", rotation("P30D")))
	w.pass(31 * 24 * time.Hour)
	w.hsm.Pull(true)
	away := func(what string, err error) {
		t.Helper()
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := w.create("new", key.CreateParams{Type: "EC-HSM"})
	away("create", err)
	_, err = w.use("rsa", key.Sign, "RS256", digest, nil)
	away("sign", err)
	_, err = w.use("rsa", key.Decrypt, "RSA-OAEP", make([]byte, 256), nil)
	away("decrypt", err)
	_, err = w.use("oct", key.WrapKey, "A256KW", digest, nil)
	away("wrap", err)
	_, err = w.service.Rotate(t.Context(), w.grant(access.KeyRotate, "rsa"))
	away("rotate", err)
	rotation := w.claim()
	away("the rotation that is due", w.service.RotateDue(t.Context(), rotation[0]))
	if n := w.pendingJobs(); n != 0 {
		t.Errorf("%d jobs were left by what could not begin", n)
	}
	// What needs the public half or no key of the HSM goes on.
	if _, err := w.use("rsa", key.Encrypt, "RSA-OAEP", digest, nil); err != nil {
		t.Error(err)
	}
	if _, err := w.use("soft", key.Sign, "ES256", digest, nil); err != nil {
		t.Error(err)
	}
	w.remove("oct")
	w.must(w.purge("oct"))
	away("the job", w.settle())
	if w.hsm.Key(k.HSM) == nil || w.pendingJobs() != 1 {
		t.Error("a key was destroyed in an HSM that is away, or the job is gone")
	}
	w.hsm.Pull(false)
	w.must(w.service.RotateDue(t.Context(), rotation[0]))
	w.signs("rsa", "RS256", digest)
	w.same("when the HSM is back")

	// A key that somebody has removed from the HSM.
	w.must(w.hsm.Destroy(t.Context(), w.get("rsa").Version.HSM))
	_, err = w.use("rsa", key.Sign, "RS256", digest, nil)
	w.refused(err, fault.Unavailable, "", "The HSM does not have this key.")

	// And a vault that was started without the HSM that its keys are in.
	w.service, err = key.NewService(key.Config{DB: store.For[key.Tx]{DB: w.db}, Sealer: w, Maker: w, Now: w.now, Logger: slog.New(slog.DiscardHandler),
		Record: func(object.Head, string) (func(*key.Bundle, error), error) { panic("nothing is rotated") }})
	w.must(err)
	_, err = w.use("rsa", key.Sign, "RS256", digest, nil)
	w.refused(err, fault.Unavailable, "", "runs without one")
	_, err = w.service.Rotate(t.Context(), w.grant(access.KeyRotate, "rsa"))
	w.refused(err, fault.Unavailable, "", "runs without one")
}

// A box opens its own key only, whatever the columns beside it say.
func TestHandlesAreBoundToTheirPlace(t *testing.T) {
	w := newHardware(t)
	one, two, soft := w.made("one", "EC-HSM").Version, w.made("two", "EC-HSM").Version, w.made("soft", "EC").Version
	ctx := t.Context()
	custody := key.Custody{Sealer: w, Device: w.hsm}
	open := func(at *key.Version, box seal.Box, id hsm.ID) error {
		_, err := custody.Open(ctx, key.PrivatePlace(at.Vault, at.Name, at.Version), box, id, at.Public)
		return err
	}
	for _, v := range []*key.Version{one, two, soft} {
		w.must(open(v, v.Private, v.HSM))
	}
	for what, err := range map[string]error{
		"another's box":                     open(one, two.Private, one.HSM),
		"another's box and handle":          open(one, two.Private, two.HSM),
		"another's handle":                  open(one, one.Private, two.HSM),
		"a handle as a key of software":     open(one, one.Private, hsm.ID{}),
		"a key of software that claims HSM": open(soft, soft.Private, one.HSM),
	} {
		if err == nil {
			t.Errorf("%s opens", what)
		}
	}
}

// Every write of what deals with keys in the HSM is failed on both sides, and so
// is every call of the HSM. Whatever happens, no stored key is without its key in
// the HSM, and after the jobs no key in the HSM is without a stored one.
func TestFailuresLeaveNoKeyWithoutItsOther(t *testing.T) {
	w := newHardware(t)
	ctx := t.Context()
	ec, err := pki.Generate(pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256})
	w.must(err)
	var rotations, destroyJobs []jobs.Job
	for _, s := range []struct {
		name    string
		prepare func(n string)
		act     func(n string) error
	}{
		{"create", func(string) {}, func(n string) error { _, err := w.create(n, key.CreateParams{Type: "EC-HSM"}); return err }},
		{"import", func(n string) { w.made(n, "oct-HSM") }, func(n string) error {
			p := imported(ec)
			p.HSM = true
			_, err := w.importing(n, p)
			return err
		}},
		{"rotate", func(n string) { w.made(n, "oct-HSM") }, func(n string) error {
			_, err := w.service.Rotate(ctx, w.grant(access.KeyRotate, n))
			return err
		}},
		{"rotate when due", func(n string) {
			w.made(n, "EC-HSM")
			w.must(w.setPolicy(n, rotation("P30D")))
			w.pass(30 * 24 * time.Hour)
			rotations = slices.DeleteFunc(w.claim(), func(j jobs.Job) bool { return j.Name != n })
		}, func(string) error { return w.service.RotateDue(ctx, rotations[0]) }},
		{"purge", func(n string) { w.made(n, "EC-HSM"); w.made(n, "oct-HSM"); w.remove(n) }, w.purge},
		{"destroy", func(n string) { w.made(n, "EC-HSM"); w.remove(n); w.must(w.purge(n)); destroyJobs = w.destroyJobs() },
			func(string) error { return w.service.DestroyInHSM(ctx, destroyJobs[0]) }},
	} {
		t.Run(s.name, func(t *testing.T) {
			run := func(n string, f *storetest.Fault, fail func(string, hsm.ID) error) error {
				s.prepare(n)
				w.fault.Store(f)
				w.hsm.Fail(fail)
				err := s.act(n)
				w.fault.Store(nil)
				w.hsm.Fail(nil)
				// At once: every stored handle is good.
				for _, id := range w.held() {
					if w.hsm.Key(id) == nil {
						t.Errorf("%s: the database has %s, the HSM does not", n, id)
					}
				}
				w.same(n)
				return err
			}
			count := storetest.Nth(0, store.Before)
			var calls []string
			w.must(run("count-"+s.name[:3], count, func(op string, _ hsm.ID) error { calls = append(calls, op); return nil }))
			for i := 1; i <= count.Passed(); i++ {
				for _, when := range []store.When{store.Before, store.After} {
					n := fmt.Sprintf("n-%d-%v-%s", i, when, s.name[:3])
					if err := run(n, storetest.Nth(i, when), nil); !errors.Is(err, storetest.ErrInjected) {
						t.Errorf("%v write %d: %v", when, i, err)
					}
				}
			}
			for i := range calls {
				at := 0
				err := run(fmt.Sprintf("c-%d-%s", i, s.name[:3]), nil, func(string, hsm.ID) error {
					if at++; at == i+1 {
						return keytest.Away
					}
					return nil
				})
				if !fault.Is(err, fault.Unavailable) {
					t.Errorf("%s of the HSM failed: %v", calls[i], err)
				}
			}
			if len(calls) == 0 && s.name != "purge" {
				t.Error("the HSM was not called")
			}
		})
	}
}

// A process that dies after the HSM has made a key, and before the database has
// heard of it, leaves a job; whoever is later than the job loses.
func TestACrashLeavesAJobForTheKey(t *testing.T) {
	w := newHardware(t)
	w.hsm.OnMade(func(hsm.ID) { panic("the process dies") })
	func() {
		defer func() { _ = recover() }()
		_, _ = w.create("web", key.CreateParams{Type: "EC-HSM"})
	}()
	if len(w.hsm.IDs()) != 1 || w.pendingJobs() != 1 {
		t.Fatalf("the HSM has %v, and there are %d jobs", w.hsm.IDs(), w.pendingJobs())
	}
	w.pass(59 * time.Minute)
	w.must(w.settle())
	if len(w.hsm.IDs()) != 1 {
		t.Error("the job did not wait for a transaction that may still come")
	}
	w.same("after an hour")

	// A process that stood still for longer than that.
	w.hsm.OnMade(func(hsm.ID) {
		w.pass(61 * time.Minute)
		w.must(w.settle())
	})
	if _, err := w.create("late", key.CreateParams{Type: "EC-HSM"}); !errors.Is(err, object.ErrChanged) {
		t.Errorf("a create that was too late: %v", err)
	}
	if len(w.held()) != 0 {
		t.Error("it stored a key that is destroyed")
	}
	w.same("after the late one")

	// A caller that left meanwhile.
	ctx, cancel := context.WithCancel(t.Context())
	w.hsm.OnMade(func(hsm.ID) { cancel() })
	if _, err := w.service.Create(ctx, w.grant(access.KeyCreate, "left"), key.CreateParams{Type: "EC-HSM"}); err == nil {
		t.Error("a cancelled create succeeds")
	}
	w.must(w.settle())
	if len(w.hsm.IDs()) != 0 {
		t.Error("the key of a caller that left waits for its job")
	}
}

// A vault that is deleted takes its keys in the HSM along.
func TestADeletedVaultLeavesNothingInTheHSM(t *testing.T) {
	w := newHardware(t)
	w.made("a", "EC-HSM")
	w.made("b", "oct-HSM")
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteVault(t.Context(), w.premium.ID) }))
	if len(w.hsm.IDs()) != 2 {
		t.Error("the keys went before the commit, or with it")
	}
	w.same("after the vault")
}

// Who may only read a key may use its public half, and a symmetric one has none.
func TestReadersDoNotUseSymmetricKeys(t *testing.T) {
	w := newHardware(t)
	w.made("oct", "oct-HSM")
	w.made("rsa", "RSA-HSM")
	v := *w.premium
	v.RBAC = true
	const reader, ann = "21090545-7ca7-4776-b22c-e363652d74d2", "11111111-1111-1111-1111-111111111111"
	rules := access.NewAssignments(store.For[access.Tx]{DB: w.db}, fresh.Source{})
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.InsertAssignment(t.Context(), access.Assignment{ID: "22222222-2222-2222-2222-222222222222", RoleID: reader, PrincipalID: ann, Scope: v.ResourceID()})
	}))
	given := accesstest.Over(t, rules)
	for name, want := range map[string]bool{"rsa": true, "oct": false} {
		g := given.GiveTo(access.Caller{TenantID: v.TenantID, ObjectID: ann}, &v, access.KeyWrap, object.MustName(name))
		alg := map[string]string{"rsa": "RSA-OAEP", "oct": "A256KW"}[name]
		_, err := w.useWith(g, "", key.WrapKey, alg, make([]byte, 16), nil)
		if want && err != nil || !want && !fault.Is(err, fault.Forbidden) {
			t.Errorf("a reader wraps with %s: %v", name, err)
		}
	}
}
