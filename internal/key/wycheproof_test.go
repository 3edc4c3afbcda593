package key_test

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"

	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/store"
)

// hexBytes are bytes that a file of vectors writes in hexadecimal.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vector is one case of Wycheproof: those of each kind fill what they have.
type vector struct {
	ID      int `json:"tcId"`
	Comment string
	Flags   []string
	Result  string

	Msg, Sig, CT, Label hexBytes
}

// vectors are the cases of one key and scheme.
type vectors struct {
	KeySize         int
	SHA, MGFSHA     string
	SaltLength      int `json:"sLen"`
	PublicKeyDER    hexBytes
	PrivateKeyPKCS8 hexBytes
	PrivateKeyJWK   *jwk
	Tests           []vector
}

func (g vectors) hash() crypto.Hash {
	return map[string]crypto.Hash{"SHA-1": crypto.SHA1, "SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}[g.SHA]
}

// valid tells whether a vector is to succeed. What Wycheproof leaves open is
// decided here, by its flag; one that is open for another reason fails its test.
func (v vector) valid(t testing.TB) bool {
	t.Helper()
	switch {
	case v.Result != "acceptable":
	case slices.Contains(v.Flags, "MissingNull"):
		// A DigestInfo without the NULL of its algorithm. RFC 8017, 9.2, note 2, lets a
		// verifier take it; whoever signs writes the NULL, and with a second encoding a
		// signature could be changed into another one.
		return false
	default:
		t.Errorf("nothing is decided about %v", v)
	}
	return v.Result == "valid"
}

func (v vector) String() string { return fmt.Sprintf("vector %d (%s; %v)", v.ID, v.Comment, v.Flags) }

// wycheproofFile reads one file of vectors.
func wycheproofFile(t testing.TB, name string) []vectors {
	t.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, name+"_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ TestGroups []vectors }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return file.TestGroups
}

// known stores public keys, each as the version of a name. Their private halves do
// not exist: what is sealed to them is no box, so that a use which opens it fails.
func (w *installation) known(keys map[string]hexBytes) {
	w.Helper()
	w.must(w.db.Update(w.Context(), func(tx *store.Tx) error {
		for name, spki := range keys {
			public, err := pki.ParsePublic(spki)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			spec, err := pki.SpecOf(public)
			if err != nil {
				return err
			}
			h := object.Head{Vault: w.home.ID, Name: object.MustName(name)}
			if err := tx.InsertKey(w.Context(), h); err != nil {
				return err
			}
			v := &key.Version{Vault: h.Vault, Name: h.Name, Version: object.NewVersion(), Spec: spec, Public: spki,
				Ops:        []key.Op{key.Verify},
				Attributes: object.Attributes{Enabled: true, Created: w.now(), Updated: w.now()}}
			if err := tx.InsertKeyVersion(w.Context(), v); err != nil {
				return err
			}
			h.Current = v.Version
			if err := tx.UpdateKeyHead(w.Context(), h); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Signatures made to get past verifiers. Of each file at least so many are looked
// at, and so many of them are valid.
func TestWycheproofSignatures(t *testing.T) {
	w := newInstallation(t)
	for _, c := range []struct {
		file, algorithm string // less the size of the hash, for RSA
		least, valid    int
	}{
		{"ecdsa_secp256r1_sha256_p1363", "ES256", 250, 170},
		{"ecdsa_secp384r1_sha384_p1363", "ES384", 270, 190},
		{"ecdsa_secp521r1_sha512_p1363", "ES512", 310, 230},
		{"ecdsa_secp256k1_sha256_p1363", "ES256K", 250, 160},
		{"rsa_signature_2048_sha256", "RS", 250, 7},
		{"rsa_signature_2048_sha384", "RS", 250, 7},
		{"rsa_signature_2048_sha512", "RS", 250, 7},
		{"rsa_signature_3072_sha256", "RS", 250, 7},
		{"rsa_signature_3072_sha384", "RS", 250, 7},
		{"rsa_signature_3072_sha512", "RS", 250, 7},
		{"rsa_signature_4096_sha256", "RS", 250, 7},
		{"rsa_signature_4096_sha384", "RS", 250, 7},
		{"rsa_signature_4096_sha512", "RS", 250, 7},
		{"rsa_pss_2048_sha256_mgf1_32", "PS", 100, 60},
		{"rsa_pss_2048_sha384_mgf1_48", "PS", 140, 90},
		{"rsa_pss_3072_sha256_mgf1_32", "PS", 100, 60},
		{"rsa_pss_4096_sha256_mgf1_32", "PS", 100, 60},
		{"rsa_pss_4096_sha384_mgf1_48", "PS", 140, 90},
		{"rsa_pss_4096_sha512_mgf1_64", "PS", 170, 130},
		// Of other schemes: another salt, another hash in MGF1. What is good there is
		// none here; what was changed until it is bad there may well be good here.
		{"rsa_pss_2048_sha256_mgf1_0", "PS", 60, 0},
		{"rsa_pss_2048_sha256_mgf1sha1_20", "PS", 60, 0},
		{"rsa_pss_4096_sha512_mgf1_32", "PS", 130, 0},
		{"rsa_pss_misc", "PS", 90, 3},
	} {
		t.Run(c.file, func(t *testing.T) {
			groups := wycheproofFile(t, c.file)
			name := func(i int) string { return fmt.Sprintf("%s-%d", strings.ReplaceAll(c.file, "_", "-"), i) }
			keys := map[string]hexBytes{}
			for i, g := range groups {
				keys[name(i)] = g.PublicKeyDER
			}
			w.known(keys)
			ran, valid := 0, 0
			for i, g := range groups {
				alg, hash := c.algorithm, g.hash()
				if alg == "RS" || alg == "PS" {
					alg += strings.TrimPrefix(g.SHA, "SHA-")
				}
				if _, ok := key.ParseAlgorithm(alg, key.Verify); !ok {
					continue // SHA-1 and SHA-224, in rsa_pss_misc
				}
				// The salt is as long as the hash, which is also that of MGF1 (RFC 7518, 3.5).
				ours := c.algorithm != "PS" || g.MGFSHA == g.SHA && g.SaltLength == hash.Size()
				for _, v := range g.Tests {
					if !ours && !v.valid(t) {
						continue
					}
					h := hash.New()
					h.Write(v.Msg)
					got, err := w.use(name(i), key.Verify, alg, h.Sum(nil), v.Sig)
					if err != nil {
						t.Errorf("%v: %v", v, err)
					}
					want := ours && v.valid(t)
					if (got != nil) != want {
						t.Errorf("%v of %s: valid is %t, want %t", v, alg, got != nil, want)
					}
					ran++
					if want {
						valid++
					}
				}
			}
			if ran < c.least || valid < c.valid {
				t.Errorf("%d vectors, %d of them valid", ran, valid)
			}
		})
	}
}

// PKCS#1 signatures are deterministic, so that there are known answers.
func TestWycheproofKnownSignatures(t *testing.T) {
	w := newInstallation(t)
	ran := 0
	for _, size := range []int{2048, 3072, 4096} {
		file := fmt.Sprintf("rsa_pkcs1_%d_sig_gen", size)
		for i, g := range wycheproofFile(t, file) {
			alg := "RS" + strings.TrimPrefix(g.SHA, "SHA-")
			if _, ok := key.ParseAlgorithm(alg, key.Sign); !ok {
				continue // SHA-1, SHA-224 and the truncated ones
			}
			name := fmt.Sprintf("rsa-%d-%d", size, i)
			if slices.Contains(g.Tests[0].Flags, "SmallPublicKey") {
				// With the exponent 3, and with primes of different sizes, which import refuses
				// (pki.RSAComponents).
				_, err := w.importing(name, g.PrivateKeyJWK.params())
				w.refused(err, fault.Invalid, "", "Its numbers do not make up one key.")
				continue
			}
			w.imports(name, g)
			for _, v := range g.Tests {
				h := g.hash().New()
				h.Write(v.Msg)
				got, err := w.use(name, key.Sign, alg, h.Sum(nil), nil)
				if err != nil || !bytes.Equal(got, v.Sig) || !v.valid(t) {
					t.Errorf("%s, %v: %x, %v", file, v, got, err)
				}
				ran++
			}
		}
	}
	if ran < 70 {
		t.Errorf("only %d vectors", ran)
	}
}
