package pkcs12

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The files of these tests hold ciphertexts and MACs of zeros: nothing derived would
// ever fit, and none of the refusals may get as far as deriving. With counts that
// take minutes, a test that derived would not end.

func pbe(iterations *big.Int) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPBEWithSHAAnd3KeyTripleDESCBC, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(make([]byte, 8))
				b.AddASN1BigInt(iterations)
			})
		})
	}
}

func pbes2(kdf asn1.ObjectIdentifier, numbers ...int64) cryptobyte.BuilderContinuation {
	return pbes2With(8, 16, kdf, numbers...)
}

func pbes2With(saltSize, ivSize int, kdf asn1.ObjectIdentifier, numbers ...int64) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPBES2, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, kdf, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1OctetString(make([]byte, saltSize))
						for _, n := range numbers {
							b.AddASN1Int64(n)
						}
					})
				})
				addAlgorithm(b, oidAES256CBC, func(b *cryptobyte.Builder) { b.AddASN1OctetString(make([]byte, ivSize)) })
			})
		})
	}
}

// encryptedKey is an EncryptedPrivateKeyInfo.
func encryptedKey(t *testing.T, algorithm cryptobyte.BuilderContinuation) []byte {
	return build(t, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			algorithm(b)
			b.AddASN1OctetString(make([]byte, 64))
		})
	})
}

// safeOf is SafeContents of n bags of the given kind.
func safeOf(t *testing.T, oid asn1.ObjectIdentifier, value []byte, n int) []byte {
	return build(t, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for range n {
				addBag(b, oid, func(b *cryptobyte.Builder) { b.AddBytes(value) }, nil)
			}
		})
	})
}

// pfxOf wraps SafeContents in clear; macIterations 0 leaves out the MAC.
func pfxOf(t *testing.T, safe []byte, macIterations int64) []byte {
	authSafe := build(t, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString(safe) })
		})
	})
	return pfxAround(t, authSafe, macIterations)
}

func pfxAround(t *testing.T, authSafe []byte, macIterations int64) []byte {
	return build(t, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString(authSafe) })
			if macIterations == 0 {
				return
			}
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addAlgorithm(b, oidSHA1, (*cryptobyte.Builder).AddASN1NULL)
					b.AddASN1OctetString(make([]byte, 20))
				})
				b.AddASN1OctetString(make([]byte, 8))
				b.AddASN1Int64(macIterations)
			})
		})
	})
}

func build(t testing.TB, f cryptobyte.BuilderContinuation) []byte {
	t.Helper()
	var b cryptobyte.Builder
	f(&b)
	out, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCostlyFilesAreRefusedBeforeAnyDerivation(t *testing.T) {
	count := func(n int64) *big.Int { return big.NewInt(n) }
	shrouded := func(algorithm cryptobyte.BuilderContinuation, n int) []byte {
		return safeOf(t, oidShroudedKeyBag, encryptedKey(t, algorithm), n)
	}
	empty := safeOf(t, oidCertBag, nil, 0)
	tests := []struct {
		name string
		pfx  []byte
		want error
	}{
		{"MAC over the bound", pfxOf(t, empty, MaxIterations+1), ErrTooCostly},
		{"MAC of 2^62", pfxOf(t, empty, 1<<62), ErrTooCostly},
		{"key over the bound", pfxOf(t, shrouded(pbe(count(MaxIterations+1)), 1), 0), ErrTooCostly},
		// The MAC does not fit: had it been tried first, this were ErrPassword.
		{"key over the bound behind a cheap MAC", pfxOf(t, shrouded(pbe(count(MaxIterations+1)), 1), 1), ErrTooCostly},
		{"keys and IVs together", pfxOf(t, shrouded(pbe(count(MaxCost/6+1)), 2), 1), ErrTooCostly},
		{"many, together", pfxOf(t, shrouded(pbe(count(MaxCost/60+1)), 20), 1), ErrTooCostly},
		{"keys and MAC together", pfxOf(t, shrouded(pbe(count(MaxCost/12)), 4), 1), ErrTooCostly},
		{"PBKDF2 of 1e9", pfxOf(t, shrouded(pbes2(oidPBKDF2, 1_000_000_000), 1), 1), ErrTooCostly},
		{"PBKDF2, two blocks of SHA-1", pfxOf(t, shrouded(pbes2(oidPBKDF2, MaxCost/20+1), 10), 1), ErrTooCostly},
		{"scrypt of 2^30", pfxOf(t, shrouded(pbes2(oidScrypt, 1<<30, 8, 1), 1), 1), ErrTooCostly},
		{"scrypt, product overflows", pfxOf(t, shrouded(pbes2(oidScrypt, 1<<62, 1<<62, 1<<62), 1), 1), ErrTooCostly},
		{"scrypt, parallel", pfxOf(t, shrouded(pbes2(oidScrypt, 2, 1, maxScrypt/2+1), 1), 1), ErrTooCostly},
		{"scrypt of 64 MiB, ten times", pfxOf(t, shrouded(pbes2(oidScrypt, maxScrypt/8, 8, 1), 10), 1), ErrTooCostly},
		{"count of 2^80", pfxOf(t, shrouded(pbe(new(big.Int).Lsh(count(1), 80)), 1), 1), ErrFormat},
		{"count of 0", pfxOf(t, shrouded(pbe(count(0)), 1), 1), ErrFormat},
		{"count of -1", pfxOf(t, shrouded(pbe(count(-1)), 1), 1), ErrFormat},
		{"scrypt, N not a power of two", pfxOf(t, shrouded(pbes2(oidScrypt, 3, 8, 1), 1), 1), ErrFormat},
		{"scrypt, r of 0", pfxOf(t, shrouded(pbes2(oidScrypt, 2, 0, 1), 1), 1), ErrFormat},
		{"PBKDF2, key length of 1e9", pfxOf(t, shrouded(pbes2(oidPBKDF2, 1, 1_000_000_000), 1), 1), ErrFormat},
		{"PBKDF2, key length of another cipher", pfxOf(t, shrouded(pbes2(oidPBKDF2, 1, 16), 1), 1), ErrFormat},
		{"key of 2^62", pfxOf(t, shrouded(pbe(count(1<<62)), 1), 1), ErrTooCostly},
		{"PBKDF2 of 2^63-1", pfxOf(t, shrouded(pbes2(oidPBKDF2, 1<<63-1), 1), 1), ErrTooCostly},
		{"long salt", pfxOf(t, shrouded(pbes2With(maxSalt, 16, oidPBKDF2, 1), 1), 1), ErrPassword},
		{"longer salt", pfxOf(t, shrouded(pbes2With(maxSalt+1, 16, oidPBKDF2, 1), 1), 1), ErrFormat},
		{"short initialization vector", pfxOf(t, shrouded(pbes2With(8, 15, oidPBKDF2, 1), 1), 0), ErrFormat},
		// GnuTLS derives for each certificate: 600,000 for the MAC and seven times more.
		{"eight times 600,000", pfxOf(t, shrouded(pbe(count(200_000)), 7), 600_000), ErrPassword},
		{"and once", pfxOf(t, shrouded(pbe(count(200_000)), 7), 600_001), ErrTooCostly},
		{"within the bounds", pfxOf(t, shrouded(pbe(count(1)), 1), 1), ErrPassword},
	}
	for _, tt := range tests {
		for _, password := range []string{"", "secret"} {
			if _, err := Decode(tt.pfx, password); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	}
	for _, algorithm := range []cryptobyte.BuilderContinuation{
		pbe(count(MaxIterations + 1)), pbes2(oidPBKDF2, MaxIterations+1), pbes2(oidScrypt, 1<<20, 8, 1),
	} {
		if _, err := DecryptPKCS8(encryptedKey(t, algorithm), "secret"); !errors.Is(err, ErrTooCostly) {
			t.Errorf("DecryptPKCS8: %v", err)
		}
	}
}

// TestHiddenCostIsRefused has a key within the encrypted part, where its cost shows
// only after the first derivation.
func TestHiddenCostIsRefused(t *testing.T) {
	for _, tt := range []struct {
		count int64
		keys  int
	}{{MaxIterations + 1, 1}, {MaxCost / 6, 2}} { // three hashes each
		keys := safeOf(t, oidShroudedKeyBag, encryptedKey(t, pbe(big.NewInt(tt.count))), tt.keys)
		if _, err := Decode(encryptedPFX(t, legacy, keys), ""); !errors.Is(err, ErrTooCostly) {
			t.Errorf("%d keys of %d: %v", tt.keys, tt.count, err)
		}
	}
}

// TestTheMACTellsTheFormOfAnEmptyPassword has a file whose budget suffices only when
// the form that fitted the MAC is tried first.
func TestTheMACTellsTheFormOfAnEmptyPassword(t *testing.T) {
	l := legacy
	l.encryption = pbe(big.NewInt(MaxCost / 6)) // three hashes each
	if _, err := Decode(encryptedPFX(t, l, []byte{0x30, 0}), ""); err != nil {
		t.Error(err)
	}
}

// encryptedPFX encrypts SafeContents and adds a MAC that holds.
func encryptedPFX(t *testing.T, l layout, safe []byte) []byte {
	t.Helper()
	encryption, ciphertext, err := l.seal(safe)
	if err != nil {
		t.Fatal(err)
	}
	authSafe := build(t, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addContentInfo(b, oidEncryptedData, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(0)
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidData)
						b.AddBytes(encryption)
						b.AddASN1(tagOctetsImplicit0, func(b *cryptobyte.Builder) { b.AddBytes(ciphertext) })
					})
				})
			})
		})
	})
	pfx, err := l.pfx(authSafe)
	if err != nil {
		t.Fatal(err)
	}
	return pfx
}

// certBag is the value of a CertBag.
func certBag(t *testing.T, der []byte) []byte {
	return build(t, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidCertTypeX509)
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(der) })
		})
	})
}

func TestBounds(t *testing.T) {
	cert := certBag(t, made.leaf)
	nested := func(depth int) []byte {
		safe := safeOf(t, oidCertBag, cert, 1)
		for range depth {
			safe = safeOf(t, oidSafeContentsBag, safe, 1)
		}
		return safe
	}
	crl := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 4}
	attribute := func(size, n int) []byte {
		return build(t, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addBag(b, oidCertBag, func(b *cryptobyte.Builder) { b.AddBytes(cert) }, func(b *cryptobyte.Builder) {
					for range n {
						addAttribute(b, oidLocalKeyID, func(b *cryptobyte.Builder) { b.AddASN1OctetString(make([]byte, size)) })
					}
				})
			})
		})
	}
	sequence := func(size int) []byte {
		return build(t, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, size)) })
		})
	}
	contents := func(n int) []byte {
		return build(t, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for range n {
					addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte{0x30, 0}) })
				}
			})
		})
	}
	tests := []struct {
		name  string
		pfx   []byte
		certs int // -1: ErrFormat
	}{
		{"as many bags as allowed", pfxOf(t, safeOf(t, oidCertBag, cert, maxBags), 0), maxBags},
		{"one bag more", pfxOf(t, safeOf(t, oidCertBag, cert, maxBags+1), 0), -1},
		{"CRLs count", pfxOf(t, safeOf(t, crl, nil, maxBags+1), 0), -1},
		{"a CRL is passed over", pfxOf(t, safeOf(t, crl, nil, 1), 0), 0},
		{"nested bags", pfxOf(t, nested(maxNesting), 0), 1},
		{"nested deeper", pfxOf(t, nested(maxNesting+1), 0), -1},
		{"nested deepest", pfxOf(t, nested(200), 0), -1},
		{"long attribute", pfxOf(t, attribute(maxAttribute, maxAttributes), 0), 1},
		{"longer attribute", pfxOf(t, attribute(maxAttribute+1, 1), 0), -1},
		{"many attributes", pfxOf(t, attribute(1, maxAttributes+1), 0), -1},
		{"two keys", pfxOf(t, safeOf(t, oidKeyBag, made.key, 2), 0), -1},
		{"large", pfxOf(t, safeOf(t, oidCertBag, certBag(t, sequence(maxSize-200)), 1), 0), 1},
		{"too large", pfxOf(t, safeOf(t, oidCertBag, certBag(t, sequence(maxSize)), 1), 0), -1},
		{"as many contents as allowed", pfxAround(t, contents(maxBags), 0), 0},
		{"one content more", pfxAround(t, contents(maxBags+1), 0), -1},
		{"another version", bytes.Replace(pfxOf(t, []byte{0x30, 0}, 0), []byte{2, 1, 3}, []byte{2, 1, 4}, 1), -1},
		{"trailing byte", append(pfxOf(t, safeOf(t, oidCertBag, cert, 1), 0), 0), -1},
		{"no contents", pfxAround(t, []byte{0x30, 0}, 0), 0},
		{"authSafe is empty", pfxAround(t, nil, 0), -1},
		{"nothing", nil, -1},
	}
	for _, tt := range tests {
		b, err := Decode(tt.pfx, "")
		if tt.name == "two keys" && !errors.Is(err, ErrTwoKeys) {
			t.Errorf("%s: %v", tt.name, err)
		}
		switch {
		case tt.certs < 0 && !errors.Is(err, ErrFormat):
			t.Errorf("%s: %v", tt.name, err)
		case tt.certs >= 0 && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.certs >= 0 && len(b.Certificates) != tt.certs:
			t.Errorf("%s: %d certificates", tt.name, len(b.Certificates))
		}
	}
}

func TestErrorsHoldNothingSecret(t *testing.T) {
	pfx := encode(t, encodeLegacy, made.key)
	_, err := Decode(pfx, "correct horse")
	if err == nil || bytes.Contains([]byte(err.Error()), []byte("horse")) {
		t.Errorf("%v", err)
	}
}
