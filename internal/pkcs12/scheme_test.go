package pkcs12

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func TestTwoKeyTripleDES(t *testing.T) {
	mustOpenSSL(t, "pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certfile", "ca.pem", "-passout", "pass:secret",
		"-certpbe", "PBE-SHA1-2DES", "-keypbe", "PBE-SHA1-2DES", "-out", "2des.pfx")
	b, err := Decode(read(t, "2des.pfx"), "secret")
	if err != nil {
		t.Fatal(err)
	}
	checkBundle(t, b)
}

// octets is parameters of n zeros.
func octets(n int) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) { b.AddASN1OctetString(make([]byte, n)) }
}

func sequence(parts ...cryptobyte.BuilderContinuation) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, part := range parts {
				part(b)
			}
		})
	}
}

func algorithm(oid asn1.ObjectIdentifier, parameters ...cryptobyte.BuilderContinuation) cryptobyte.BuilderContinuation {
	return sequence(append([]cryptobyte.BuilderContinuation{
		func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) },
	}, parameters...)...)
}

func number(n int64) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) { b.AddASN1Int64(n) }
}

// TestSchemesOfOthersAreRefused has what other programs may write and we do not
// read, and parameters with something missing or too much. None may reach a key.
func TestSchemesOfOthersAreRefused(t *testing.T) {
	var (
		rc4128    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 1}
		rc440     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 2}
		pbeMD5DES = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3}
		rc2CBC    = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 2}
		aes256GCM = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}
		hmacMD5   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 8, 1, 1}
		tripleDES = oidPBEWithSHAAnd3KeyTripleDESCBC

		one          = number(1)
		saltAndCount = sequence(octets(8), one)
		pbkdf2       = algorithm(oidPBKDF2, saltAndCount)
		aes          = algorithm(oidAES256CBC, octets(16))
	)
	pbes2 := func(kdf, cipher cryptobyte.BuilderContinuation) cryptobyte.BuilderContinuation {
		return algorithm(oidPBES2, sequence(kdf, cipher))
	}
	for _, tt := range []struct {
		name   string
		scheme cryptobyte.BuilderContinuation
		want   error
	}{
		{"3DES", algorithm(tripleDES, saltAndCount), nil},
		{"3DES, no salt", algorithm(tripleDES, sequence(octets(0), one)), nil},
		{"AES", pbes2(pbkdf2, aes), nil},
		{"AES, key of its length", pbes2(algorithm(oidPBKDF2, sequence(octets(8), one, number(32))), aes), nil},

		{"RC4, 128 bits", algorithm(rc4128, saltAndCount), ErrFormat},
		{"RC4, 40 bits", algorithm(rc440, saltAndCount), ErrFormat},
		{"PBES1", algorithm(pbeMD5DES, saltAndCount), ErrFormat},
		{"PBES2 with RC2", pbes2(pbkdf2, algorithm(rc2CBC, sequence(number(58), octets(8)))), ErrFormat},
		{"PBES2 with GCM", pbes2(pbkdf2, algorithm(aes256GCM, sequence(octets(12)))), ErrFormat},
		{"PBES2 with PBE inside", pbes2(pbkdf2, algorithm(tripleDES, saltAndCount)), ErrFormat},
		{"PBES2 without derivation", pbes2(algorithm(oidSHA256, saltAndCount), aes), ErrFormat},
		{"PBKDF2 with MD5", pbes2(algorithm(oidPBKDF2, sequence(octets(8), one, algorithm(hmacMD5))), aes), ErrFormat},

		{"3DES, no parameters", algorithm(tripleDES), ErrFormat},
		{"3DES, no salt element", algorithm(tripleDES, sequence(one)), ErrFormat},
		{"3DES, no count", algorithm(tripleDES, sequence(octets(8))), ErrFormat},
		{"3DES, a third parameter", algorithm(tripleDES, sequence(octets(8), one, one)), ErrFormat},
		{"3DES, parameters twice", algorithm(tripleDES, saltAndCount, saltAndCount), ErrFormat},
		{"PBES2, no cipher", algorithm(oidPBES2, sequence(pbkdf2)), ErrFormat},
		{"PBES2, two ciphers", algorithm(oidPBES2, sequence(pbkdf2, aes, aes)), ErrFormat},
		{"AES, no IV", pbes2(pbkdf2, algorithm(oidAES256CBC)), ErrFormat},
		{"AES, long IV", pbes2(pbkdf2, algorithm(oidAES256CBC, octets(17))), ErrFormat},
		{"AES, IV twice", pbes2(pbkdf2, algorithm(oidAES256CBC, octets(16), octets(16))), ErrFormat},
		{"AES, key of another length", pbes2(algorithm(oidPBKDF2, sequence(octets(8), one, number(31))), aes), ErrFormat},
		{"no algorithm", sequence(), ErrFormat},
		{"nothing", func(*cryptobyte.Builder) {}, ErrFormat},
	} {
		s := cryptobyte.String(build(t, tt.scheme))
		got, err := parseScheme(&s)
		if !errors.Is(err, tt.want) || (got == nil) != (tt.want != nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestSchemesMakeKeysOfTheirSize looks at the IV, and at whether another password
// makes another key.
func TestSchemesMakeKeysOfTheirSize(t *testing.T) {
	var schemes [][]byte
	for _, c := range pbeCiphers {
		schemes = append(schemes, build(t, algorithm(c.oid, sequence(octets(8), number(2)))))
	}
	for _, c := range pbes2Ciphers {
		schemes = append(schemes, build(t, algorithm(oidPBES2,
			sequence(algorithm(oidPBKDF2, sequence(octets(8), number(2))), algorithm(c.oid, octets(c.blockSize))))))
	}
	encrypt := func(scheme []byte, password string) []byte {
		s := cryptobyte.String(scheme)
		parsed, err := parseScheme(&s)
		if err != nil {
			t.Fatal(err)
		}
		forms, err := passwordForms(password)
		if err != nil {
			t.Fatal(err)
		}
		block, iv, err := parsed.key(forms[0])
		if err != nil {
			t.Fatal(err)
		}
		if len(iv) != block.BlockSize() {
			t.Errorf("% x: an IV of %d bytes", scheme, len(iv))
		}
		out := make([]byte, block.BlockSize())
		block.Encrypt(out, out)
		return out
	}
	for _, s := range schemes {
		if bytes.Equal(encrypt(s, "one"), encrypt(s, "other")) {
			t.Errorf("% x: two passwords, one key", s)
		}
	}
}
