package rc2

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors are all of RFC 2268, section 5.
func TestVectors(t *testing.T) {
	for _, v := range []struct {
		key       string
		bits      int
		in, wants string
	}{
		{"0000000000000000", 63, "0000000000000000", "ebb773f993278eff"},
		{"ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"},
		{"88", 64, "0000000000000000", "61a8a244adacccf0"},
		{"88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"},
		{"88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"},
		{"88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"},
		{"88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"},
	} {
		block, err := New(unhex(t, v.key), v.bits)
		if err != nil {
			t.Fatal(err)
		}
		in, want, out := unhex(t, v.in), unhex(t, v.wants), make([]byte, BlockSize)
		if block.Encrypt(out, in); !bytes.Equal(out, want) {
			t.Errorf("key %s of %d bits: %x, want %x", v.key, v.bits, out, want)
		}
		if block.Decrypt(out, want); !bytes.Equal(out, in) {
			t.Errorf("key %s of %d bits decrypts to %x, want %x", v.key, v.bits, out, in)
		}
	}
}

func TestTableIsAPermutation(t *testing.T) {
	var seen [256]bool
	for _, b := range piTable {
		seen[b] = true
	}
	for b, ok := range seen {
		if !ok {
			t.Errorf("%#x is missing", b)
		}
	}
}

// draw returns n bytes of a fixed stream.
func draw(r *rand.ChaCha8, n int) []byte {
	out := make([]byte, n)
	r.Read(out)
	return out
}

// TestDecryptUndoesEncrypt goes through every size of a key and every number of
// effective bits, in place.
func TestDecryptUndoesEncrypt(t *testing.T) {
	r := rand.NewChaCha8([32]byte{1})
	for n := range 1024 {
		block, err := New(draw(r, n%128+1), n+1)
		if err != nil {
			t.Fatal(err)
		}
		in := draw(r, BlockSize)
		buffer := bytes.Clone(in)
		if block.Encrypt(buffer, buffer); bytes.Equal(buffer, in) {
			t.Errorf("%d effective bits: nothing was encrypted", n+1)
		}
		if block.Decrypt(buffer, buffer); !bytes.Equal(buffer, in) {
			t.Errorf("%d effective bits: %x became %x", n+1, in, buffer)
		}
	}
}

// TestOpenSSLAgrees encrypts with each RC2 that openssl has, under many keys.
func TestOpenSSLAgrees(t *testing.T) {
	r := rand.NewChaCha8([32]byte{2})
	for _, c := range []struct {
		name       string
		size, bits int
	}{{"rc2-cbc", 16, 128}, {"rc2-64-cbc", 8, 64}, {"rc2-40-cbc", 5, 40}} {
		for range 8 {
			key, iv, plain := draw(r, c.size), draw(r, BlockSize), draw(r, 8000)
			cmd := exec.Command("openssl", "enc", "-"+c.name, "-provider", "legacy", "-provider", "default", "-nopad",
				"-K", hex.EncodeToString(key), "-iv", hex.EncodeToString(iv))
			cmd.Stdin = bytes.NewReader(plain)
			want, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			block, err := New(key, c.bits)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(plain))
			if cipher.NewCBCEncrypter(block, iv).CryptBlocks(got, plain); !bytes.Equal(got, want) {
				t.Errorf("%s: openssl encrypts differently", c.name)
			}
			if cipher.NewCBCDecrypter(block, iv).CryptBlocks(got, want); !bytes.Equal(got, plain) {
				t.Errorf("%s: what openssl encrypted comes out differently", c.name)
			}
		}
	}
}

// TestKeyBounds takes the smallest and largest, and refuses what is beyond.
func TestKeyBounds(t *testing.T) {
	for _, tt := range []struct {
		size, bits int
		want       error
	}{
		{1, 1, nil}, {128, 1024, nil}, {1, 1024, nil}, {128, 1, nil},
		{0, 40, errKeySize}, {129, 40, errKeySize},
		{5, 0, errEffectiveBits}, {5, -1, errEffectiveBits}, {5, 1025, errEffectiveBits},
	} {
		block, err := New(make([]byte, tt.size), tt.bits)
		if err != tt.want || (block == nil) != (tt.want != nil) {
			t.Errorf("%d bytes, %d bits: %v", tt.size, tt.bits, err)
		}
	}
}

// TestBlocksMustBeWhole: the interface promises a panic, and a destination too short
// must not get half a block.
func TestBlocksMustBeWhole(t *testing.T) {
	block, err := New([]byte{1}, 8)
	if err != nil {
		t.Fatal(err)
	}
	short, whole := make([]byte, BlockSize-1), make([]byte, BlockSize)
	for name, f := range map[string]func(){
		"encrypt from": func() { block.Encrypt(whole, short) }, "encrypt to": func() { block.Encrypt(short, whole) },
		"decrypt from": func() { block.Decrypt(whole, short) }, "decrypt to": func() { block.Decrypt(short, whole) },
	} {
		if err := panics(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !bytes.Equal(short, make([]byte, len(short))) {
		t.Error("half a block was written")
	}
}

func panics(f func()) (err error) {
	defer func() {
		if recover() == nil {
			err = fmt.Errorf("7 bytes were taken for a block")
		}
	}()
	f()
	return nil
}
