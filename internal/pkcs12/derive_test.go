package pkcs12

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"
)

// draw returns n bytes of a fixed stream.
func draw(r *rand.ChaCha8, n int) []byte {
	out := make([]byte, n)
	r.Read(out)
	return out
}

// TestDeriveBytesAsOpenSSL has salts, passwords and results around the sizes of a
// block and of a hash, so that the input is filled up and added to in every way.
func TestDeriveBytesAsOpenSSL(t *testing.T) {
	r := rand.NewChaCha8([32]byte{3})
	for name, newHash := range map[string]func() hash.Hash{
		"SHA1": sha1.New, "SHA224": sha256.New224, "SHA256": sha256.New, "SHA384": sha512.New384, "SHA512": sha512.New,
	} {
		block, sum := newHash().BlockSize(), newHash().Size()
		for _, tt := range []struct {
			salt, password, iterations int
			purpose                    byte
			size                       int
		}{
			{8, 18, 2000, forKey, 24},
			{8, 18, 2000, forIV, 8},
			{20, 2, 3, forMAC, sum},
			{block, block, 1, forKey, sum + 1},
			{block + 1, block - 1, 1, forKey, 5 * sum},
			{1, 2*block + 2, 2, forIV, 4*sum - 1},
			{2*block - 1, 1, 2, forMAC, 1},
		} {
			salt, password := draw(r, tt.salt), draw(r, tt.password)
			want := mustOpenSSL(t, "kdf", "-binary", "-keylen", fmt.Sprint(tt.size), "-kdfopt", "digest:"+name,
				"-kdfopt", "hexpass:"+hex.EncodeToString(password), "-kdfopt", "hexsalt:"+hex.EncodeToString(salt),
				"-kdfopt", fmt.Sprintf("iter:%d", tt.iterations), "-kdfopt", fmt.Sprintf("id:%d", tt.purpose), "PKCS12KDF")
			got := deriveBytes(newHash, salt, password, tt.iterations, tt.purpose, tt.size)
			if !bytes.Equal(got, want) {
				t.Errorf("%s, %+v: %x, want %x", name, tt, got, want)
			}
		}
	}
}

// TestDeriveBytesFromNothing: without salt and password there is nothing to add to,
// and each hash is the same.
func TestDeriveBytesFromNothing(t *testing.T) {
	once := sha1.Sum(bytes.Repeat([]byte{forIV}, sha1.BlockSize))
	twice := sha1.Sum(once[:])
	got := deriveBytes(sha1.New, nil, nil, 2, forIV, 2*sha1.Size)
	if want := bytes.Repeat(twice[:], 2); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestDeriveCostCountsHashes(t *testing.T) {
	for _, tt := range []struct{ iterations, size, hashSize, want int }{
		{1, 1, 20, 1}, {1, 20, 20, 1}, {1, 21, 20, 2}, {2000, 24, 20, 4000}, {MaxCost, 64, 20, 4 * MaxCost},
	} {
		if got := deriveCost(tt.iterations, tt.size, tt.hashSize); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}
