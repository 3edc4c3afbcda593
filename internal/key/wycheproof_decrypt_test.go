package key_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

// jwk is a private key as callers import it (RFC 7518, section 6).
type jwk struct{ N, E, D, P, Q, DP, DQ, QI base64url }

type base64url []byte

func (b *base64url) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.DecodeString(string(text))
	return err
}

func (k *jwk) params() key.ImportParams {
	return key.ImportParams{Type: "RSA", N: k.N, E: k.E, D: seal.NewValue(k.D), P: seal.NewValue(k.P), Q: seal.NewValue(k.Q), DP: seal.NewValue(k.DP), DQ: seal.NewValue(k.DQ), QI: seal.NewValue(k.QI)}
}

// imports stores the private key of a group: as the JWK that there is, or the
// numbers of its PKCS#8.
func (w *installation) imports(name string, g vectors) {
	w.Helper()
	private, err := pki.ParsePKCS8(g.PrivateKeyPKCS8)
	w.must(err)
	p := imported(private)
	if g.PrivateKeyJWK != nil {
		p = g.PrivateKeyJWK.params()
	}
	b, err := w.importing(name, p)
	w.must(err)
	public, err := pki.ParsePublic(b.Version.Public)
	w.must(err)
	if !pki.PublicEqual(public, private.Public()) {
		w.Errorf("%s: the JWK is another key than the PKCS#8", name)
	}
}

// decryptions are files with private keys that the vault holds. Of each at least so
// many vectors are looked at, and so many of them open.
var decryptions = []struct {
	file, algorithm string
	least, opened   int
}{
	{"rsa_pkcs1_2048", "RSA1_5", 65, 40},
	{"rsa_pkcs1_3072", "RSA1_5", 65, 40},
	{"rsa_pkcs1_4096", "RSA1_5", 65, 40},
	{"rsa_oaep_2048_sha1_mgf1sha1", "RSA-OAEP", 36, 10},
	{"rsa_oaep_2048_sha256_mgf1sha256", "RSA-OAEP-256", 36, 10},
	{"rsa_oaep_3072_sha256_mgf1sha256", "RSA-OAEP-256", 36, 10},
	{"rsa_oaep_4096_sha256_mgf1sha256", "RSA-OAEP-256", 36, 10},
	{"rsa_oaep_misc", "RSA-OAEP", 70, 9},
	{"rsa_oaep_misc", "RSA-OAEP-256", 70, 9},
	// Other schemes, which are refused like what is broken.
	{"rsa_oaep_2048_sha256_mgf1sha1", "RSA-OAEP-256", 30, 0},
	{"rsa_oaep_2048_sha224_mgf1sha1", "RSA-OAEP", 30, 0},
	{"rsa_oaep_2048_sha512_mgf1sha512", "RSA-OAEP-256", 30, 0},
}

// decrypts tells whether an algorithm is that of a group.
func (g vectors) decrypts(alg string) bool {
	hash := map[string]string{"RSA1_5": "", "RSA-OAEP": "SHA-1", "RSA-OAEP-256": "SHA-256"}[alg]
	return g.SHA == hash && g.MGFSHA == hash
}

// Ciphertexts that others tried as oracles. Whatever is wrong with one, the answer
// is the same to the last letter.
func TestWycheproofDecryption(t *testing.T) {
	w := newInstallation(t)
	refusals := map[string]fault.Error{} // of each algorithm the first
	for _, c := range decryptions {
		t.Run(c.file+" "+c.algorithm, func(t *testing.T) {
			ran, opened := 0, 0
			name := ""
			var last hexBytes
			for i, g := range wycheproofFile(t, c.file) {
				if g.KeySize != 2048 && (!g.decrypts(c.algorithm) || g.KeySize != 3072 && g.KeySize != 4096) {
					continue // other sizes are refused; other schemes need no more than one
				}
				if !bytes.Equal(g.PrivateKeyPKCS8, last) {
					name = strings.NewReplacer("_", "-", " ", "-").Replace(fmt.Sprintf("%s-%s-%d", c.file, c.algorithm, i))
					w.imports(name, g)
					last = g.PrivateKeyPKCS8
				}
				for _, v := range g.Tests {
					op := []key.Op{key.Decrypt, key.UnwrapKey}[ran%2]
					got, err := w.use(name, op, c.algorithm, v.CT, nil)
					ran++
					// JWA's OAEP has the empty label (RFC 7518, section 4.3).
					if g.decrypts(c.algorithm) && len(v.Label) == 0 && v.valid(t) {
						opened++
						if err != nil || !bytes.Equal(got, v.Msg) {
							t.Errorf("%v: %x, %v; want %x", v, got, err, v.Msg)
						}
						continue
					}
					e, ok := err.(*fault.Error)
					if !ok || got != nil {
						t.Errorf("%v: %x, %v", v, got, err)
						continue
					}
					first, known := refusals[c.algorithm]
					if !known {
						refusals[c.algorithm], first = *e, *e
					}
					if *e != first || e.Kind != fault.Invalid || e.Field != "value" || e.Err != nil {
						t.Errorf("%v: %#v, but before %#v", v, *e, first)
					}
				}
			}
			if ran < c.least || opened < c.opened {
				t.Errorf("%d vectors, %d of them opened", ran, opened)
			}
		})
	}
	if refusals["RSA-OAEP"] != refusals["RSA-OAEP-256"] {
		t.Error("the OAEPs refuse differently")
	}
}

// A refusal costs what a decryption costs. This does not see the nanoseconds that
// an oracle may live on, which are crypto/rsa's to keep: it sees what a change of
// ours could add, such as a look at the padding before the private key is used, or
// a second attempt after it. The shortest of several turns is compared, for load can
// only lengthen one, and what is too far off gets more turns: load ends, a fault
// stays. What shows without a key, such as a length, is not looked at.
func TestWycheproofRefusalsTakeTheirTime(t *testing.T) {
	const fewest, most, tolerance = 5, 100, 1.3
	w := newInstallation(t)
	for _, c := range []struct{ file, algorithm string }{
		{"rsa_pkcs1_2048", "RSA1_5"},
		{"rsa_oaep_2048_sha1_mgf1sha1", "RSA-OAEP"},
		{"rsa_oaep_2048_sha256_mgf1sha256", "RSA-OAEP-256"},
	} {
		g := wycheproofFile(t, c.file)[0]
		name := strings.ToLower(strings.ReplaceAll(c.algorithm, "_", "-"))
		w.imports(name, g)
		var opens []vector // the first that opens, then those that do not
		for _, v := range g.Tests {
			padding := slices.Contains(v.Flags, "InvalidPkcs1Padding") || slices.Contains(v.Flags, "InvalidOaepPadding")
			if padding || len(opens) == 0 && v.Result == "valid" {
				opens = append(opens, v)
			}
		}
		if len(opens) < 10 {
			t.Fatalf("%s: %d vectors", c.file, len(opens))
		}
		shortest := make([]time.Duration, len(opens))
		ratio := func(i int) float64 { return float64(shortest[i]) / float64(shortest[0]) }
		far := func(i int) bool { return ratio(i) > tolerance || ratio(i) < 1/tolerance }
		apart := true
		for turn := 0; turn < fewest || apart && turn < most; turn++ {
			apart = false
			for i, v := range opens {
				if turn >= fewest && i > 0 && !far(i) {
					continue
				}
				begin := time.Now()
				_, _ = w.use(name, key.Decrypt, c.algorithm, v.CT, nil)
				if took := time.Since(begin); shortest[i] == 0 || took < shortest[i] {
					shortest[i] = took
				}
				apart = apart || far(i)
			}
		}
		for i, v := range opens {
			if far(i) {
				t.Errorf("%s: %v took %.2f times a decryption's %s", c.algorithm, v, ratio(i), shortest[0])
			}
		}
	}
}
