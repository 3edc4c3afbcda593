package pkcs12

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/scrypt"
)

const macPassword = "gehäim"

// emptySafe is an AuthenticatedSafe of no contents.
var emptySafe = []byte{0x30, 0}

// pfxWithMAC is a file of nothing with the given MAC; what follows the digest is in
// rest.
func pfxWithMAC(t testing.TB, mac cryptobyte.BuilderContinuation, digest []byte, rest ...cryptobyte.BuilderContinuation) []byte {
	t.Helper()
	info := sequence(mac, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) })
	return build(t, sequence(number(pfxVersion), func(b *cryptobyte.Builder) {
		addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString(emptySafe) })
	}, sequence(append([]cryptobyte.BuilderContinuation{info}, rest...)...)))
}

func hmacSHA256(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(emptySafe)
	return h.Sum(nil)
}

// pbmac1 is a file whose MAC holds under macPassword, with a key of size bytes from
// PBKDF2. The salt and count beside it are other ones.
func pbmac1(t testing.TB, size int) []byte {
	t.Helper()
	key, err := pbkdf2.Key(sha256.New, macPassword, make([]byte, 8), 2, size)
	if err != nil {
		t.Fatal(err)
	}
	derivation := algorithm(oidPBKDF2, sequence(octets(8), number(2), number(int64(size)), algorithm(oidHMACWithSHA256)))
	return pfxWithMAC(t, algorithm(oidPBMAC1, sequence(derivation, algorithm(oidHMACWithSHA256))), hmacSHA256(key),
		octets(3), number(1<<62))
}

// TestPBMAC1NeedsALongKey: with a key of one byte, one password in 256 would open
// any file, so that the MAC is refused although it holds.
func TestPBMAC1NeedsALongKey(t *testing.T) {
	for _, tt := range []struct {
		size int
		want error
	}{{1, ErrFormat}, {19, ErrFormat}, {20, nil}, {32, nil}, {64, nil}, {65, ErrFormat}} {
		if _, err := Decode(pbmac1(t, tt.size), macPassword); !errors.Is(err, tt.want) {
			t.Errorf("key of %d bytes: %v, want %v", tt.size, err, tt.want)
		}
	}
	if _, err := Decode(pbmac1(t, 20), "geheim"); !errors.Is(err, ErrPassword) {
		t.Errorf("wrong password: %v", err)
	}
}

func TestPBMAC1WithScrypt(t *testing.T) {
	key, err := scrypt.Key([]byte(macPassword), make([]byte, 8), 2, 1, 1, 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		params cryptobyte.BuilderContinuation
		want   error
	}{
		{"a key of 20 bytes", sequence(octets(8), number(2), number(1), number(1), number(20)), nil},
		{"a key of no stated length", sequence(octets(8), number(2), number(1), number(1)), ErrFormat},
		{"too costly", sequence(octets(8), number(1<<20), number(8), number(1), number(20)), ErrTooCostly},
	} {
		pfx := pfxWithMAC(t, algorithm(oidPBMAC1, sequence(algorithm(oidScrypt, tt.params), algorithm(oidHMACWithSHA256))),
			hmacSHA256(key), octets(0))
		if _, err := Decode(pfx, macPassword); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestMACs(t *testing.T) {
	bmp := append(bmpString(macPassword), 0, 0)
	good := hmacSHA256(deriveBytes(sha256.New, make([]byte, 8), bmp, 2, forMAC, sha256.Size))
	once := hmacSHA256(deriveBytes(sha256.New, make([]byte, 8), bmp, 1, forMAC, sha256.Size))
	changed := bytes.Clone(good)
	changed[31] ^= 1
	otherSalt := func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte{0, 0, 0, 0, 0, 0, 0, 1}) }
	sha := algorithm(oidSHA256)
	md5 := algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5})
	twoDigests := func(b *cryptobyte.Builder) {
		sha(b)
		octets(32)(b)
	}
	derivation := algorithm(oidPBKDF2, sequence(octets(8), number(2), number(20)))
	params := sequence(derivation, algorithm(oidHMACWithSHA256))
	for _, tt := range []struct {
		name string
		pfx  []byte
		want error
	}{
		{"good", pfxWithMAC(t, sha, good, octets(8), number(2)), nil},
		{"no count", pfxWithMAC(t, sha, once, octets(8)), nil},
		{"last bit", pfxWithMAC(t, sha, changed, octets(8), number(2)), ErrPassword},
		{"cut", pfxWithMAC(t, sha, good[:31], octets(8), number(2)), ErrPassword},
		{"empty", pfxWithMAC(t, sha, nil, octets(8), number(2)), ErrPassword},
		{"other count", pfxWithMAC(t, sha, good, octets(8), number(3)), ErrPassword},
		{"other salt", pfxWithMAC(t, sha, good, otherSalt, number(2)), ErrPassword},
		{"MD5", pfxWithMAC(t, md5, good[:16], octets(8), number(2)), ErrFormat},
		{"no salt", pfxWithMAC(t, sha, good), ErrFormat},
		{"longest salt", pfxWithMAC(t, sha, good, octets(maxSalt), number(2)), ErrPassword},
		{"longer salt", pfxWithMAC(t, sha, good, octets(maxSalt+1), number(2)), ErrFormat},
		{"count of 0", pfxWithMAC(t, sha, good, octets(8), number(0)), ErrFormat},
		{"something after the count", pfxWithMAC(t, sha, good, octets(8), number(2), number(2)), ErrFormat},
		{"PBMAC1, no parameters", pfxWithMAC(t, algorithm(oidPBMAC1), good, octets(8)), ErrFormat},
		{"two digests", pfxWithMAC(t, twoDigests, good, octets(8), number(2)), ErrFormat},
		{"PBMAC1, parameters twice", pfxWithMAC(t, algorithm(oidPBMAC1, params, params), good, octets(8)), ErrFormat},
		{"PBMAC1, no MAC", pfxWithMAC(t, algorithm(oidPBMAC1, sequence(derivation)), good, octets(8)), ErrFormat},
		{"PBMAC1 of a bare hash", pfxWithMAC(t, algorithm(oidPBMAC1, sequence(derivation, sha)), good, octets(8)), ErrFormat},
		{"PBMAC1, two MACs", pfxWithMAC(t, algorithm(oidPBMAC1, sequence(derivation, algorithm(oidHMACWithSHA256), sha)), good, octets(8)), ErrFormat},
	} {
		if _, err := Decode(tt.pfx, macPassword); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}
