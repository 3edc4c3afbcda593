//go:build hsm

package hsm

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"coffer/internal/pki"
	"coffer/internal/seal"
)

func imported(t testing.TB, d *Device, raw []byte) *Secret {
	t.Helper()
	id := NewID()
	if err := d.ImportSecret(t.Context(), id, seal.NewValue(raw)); err != nil {
		t.Fatal(err)
	}
	return d.Secret(id)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Judged by crypto/cipher, which has the same key.
func TestGCM(t *testing.T) {
	k := newHSM(t)
	d, ctx := k.open(), t.Context()
	for _, size := range []int{16, 24, 32} {
		raw := random(size)
		key := imported(t, d, raw)
		if bits, err := key.Bits(ctx); err != nil || bits != 8*size {
			t.Errorf("%d bits, %v", bits, err)
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			t.Fatal(err)
		}
		judge, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 16, 1000, 100000} {
			for _, aad := range [][]byte{nil, random(1), random(300)} {
				iv, plain := random(12), random(n)
				ciphertext, tag, err := key.SealGCM(ctx, iv, aad, plain)
				if err != nil || !bytes.Equal(append(ciphertext, tag...), judge.Seal(nil, iv, plain, aad)) {
					t.Fatalf("%d bytes: %v", n, err)
				}
				if got, err := key.OpenGCM(ctx, iv, aad, ciphertext, tag); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes: %v", n, err)
				}
				tag[0] ^= 1
				if got, err := key.OpenGCM(ctx, iv, aad, ciphertext, tag); err != ErrRefused || got != nil {
					t.Errorf("another tag: %v", err)
				}
				tag[0] ^= 1
				if _, err := key.OpenGCM(ctx, iv, append(aad, 0), ciphertext, tag); err != ErrRefused {
					t.Errorf("another aad: %v", err)
				}
			}
		}
		for _, iv := range [][]byte{nil, random(11), random(16)} {
			if _, _, err := key.SealGCM(ctx, iv, nil, nil); err == nil {
				t.Errorf("an iv of %d bytes", len(iv))
			}
			if _, err := key.OpenGCM(ctx, iv, nil, nil, random(16)); err != ErrRefused {
				t.Errorf("an iv of %d bytes: %v", len(iv), err)
			}
		}
		if _, err := key.OpenGCM(ctx, random(12), nil, random(16), random(15)); err != ErrRefused {
			t.Errorf("a short tag: %v", err)
		}
	}
	if n := k.lines("level=ERROR"); n != 0 {
		t.Errorf("the log:\n%s", k.log.String())
	}
}

// NIST SP 800-38D test case 16 of McGrew and Viega, and SP 800-38A F.2.5.
func TestPublishedAESVectors(t *testing.T) {
	d, ctx := newHSM(t).open(), t.Context()
	key := imported(t, d, unhex(t, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"))
	ciphertext, tag, err := key.SealGCM(ctx, unhex(t, "cafebabefacedbaddecaf888"), unhex(t, "feedfacedeadbeeffeedfacedeadbeefabaddad2"),
		unhex(t, "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"))
	if err != nil || hex.EncodeToString(ciphertext) != "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" ||
		hex.EncodeToString(tag) != "76fc6ece0f4e1768cddf8853bb2d551b" {
		t.Errorf("GCM: %x %x, %v", ciphertext, tag, err)
	}
	key = imported(t, d, unhex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
	cbc, err := key.EncryptCBC(ctx, unhex(t, "000102030405060708090a0b0c0d0e0f"), unhex(t, "6bc1bee22e409f96e93d7e117393172a"))
	if err != nil || hex.EncodeToString(cbc) != "f58c4c04d6e5f1ba779eabfb5f7bfbd6" {
		t.Errorf("CBC: %x, %v", cbc, err)
	}
	// RFC 3394, 4.1 and 4.6; RFC 5649, section 6.
	const kek, data = "000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff"
	for _, v := range []struct {
		key, plain, wrapped string
		padded              bool
	}{
		{kek, data, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5", false},
		{kek + "101112131415161718191a1b1c1d1e1f", data + "000102030405060708090a0b0c0d0e0f", "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21", false},
		{"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", true},
		{"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f", true},
	} {
		key := imported(t, d, unhex(t, v.key))
		wrap, unwrap := key.Wrap, key.Unwrap
		if v.padded {
			wrap, unwrap = key.WrapPad, key.UnwrapPad
		}
		if got, err := wrap(ctx, unhex(t, v.plain)); err != nil || hex.EncodeToString(got) != v.wrapped {
			t.Errorf("wrapping %s: %x, %v", v.plain, got, err)
		}
		if got, err := unwrap(ctx, unhex(t, v.wrapped)); err != nil || hex.EncodeToString(got) != v.plain {
			t.Errorf("unwrapping %s: %x, %v", v.plain, got, err)
		}
	}
}

// Judged by openssl.
func TestCBC(t *testing.T) {
	k := newHSM(t)
	d, ctx := k.open(), t.Context()
	for _, size := range []int{16, 24, 32} {
		raw, iv := random(size), random(16)
		key := imported(t, d, raw)
		openssl := func(in []byte, more ...string) []byte {
			return run(t, in, "openssl", append([]string{"enc", fmt.Sprintf("-aes-%d-cbc", 8*size), "-K", hex.EncodeToString(raw), "-iv", hex.EncodeToString(iv)}, more...)...)
		}
		for _, n := range []int{0, 1, 15, 16, 17, 160} {
			plain := random(n)
			ciphertext, err := key.EncryptCBCPad(ctx, iv, plain)
			if err != nil || !bytes.Equal(ciphertext, openssl(plain)) {
				t.Errorf("padded, %d bytes: %v", n, err)
			}
			if got, err := key.DecryptCBCPad(ctx, iv, ciphertext); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("padded, %d bytes: %v", n, err)
			}
			if n%16 != 0 {
				if _, err := key.EncryptCBC(ctx, iv, plain); err == nil {
					t.Errorf("%d bytes are taken for blocks", n)
				}
				continue
			}
			ciphertext, err = key.EncryptCBC(ctx, iv, plain)
			if err != nil || !bytes.Equal(ciphertext, openssl(plain, "-nopad")) {
				t.Errorf("%d bytes: %v", n, err)
			}
			if got, err := key.DecryptCBC(ctx, iv, ciphertext); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		// Blocks that end in no padding.
		wrong := openssl(append(random(31), 0), "-nopad")
		for _, refused := range [][]byte{nil, random(15), random(17), wrong} {
			if got, err := key.DecryptCBCPad(ctx, iv, refused); err != ErrRefused || got != nil {
				t.Errorf("%d bytes: %v", len(refused), err)
			}
		}
		if _, err := key.DecryptCBC(ctx, iv, random(15)); err != ErrRefused {
			t.Error(err)
		}
		if _, err := key.EncryptCBC(ctx, iv[1:], random(16)); err == nil {
			t.Error("a short iv")
		}
	}
	if n := k.lines("level=ERROR"); n != 0 {
		t.Errorf("the log:\n%s", k.log.String())
	}
}

// Judged by openssl; zeros of the plaintext stay.
func TestWrappingKeepsTheLength(t *testing.T) {
	k := newHSM(t)
	d, ctx := k.open(), t.Context()
	raw := random(32)
	key := imported(t, d, raw)
	for n := 1; n <= 40; n += 3 {
		plain := random(n)
		want := run(t, plain, "openssl", "enc", "-id-aes256-wrap-pad", "-K", hex.EncodeToString(raw), "-iv", "A65959A6")
		if got, err := key.WrapPad(ctx, plain); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %x, openssl %x, %v", n, got, want, err)
		}
	}
	for n := 1; n <= 40; n++ {
		for _, plain := range [][]byte{random(n), make([]byte, n), append(random(n), 0), append(random(n), make([]byte, 8)...)} {
			wrapped, err := key.WrapPad(ctx, plain)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := key.UnwrapPad(ctx, wrapped); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%x: %x, %v", plain, got, err)
			}
			wrapped[n%len(wrapped)] ^= 1
			if got, err := key.UnwrapPad(ctx, wrapped); err != ErrRefused || got != nil {
				t.Fatalf("changed: %x, %v", got, err)
			}
		}
	}
	for _, plain := range [][]byte{nil, random(8), random(17)} {
		if _, err := key.Wrap(ctx, plain); err == nil {
			t.Errorf("%d bytes are wrapped", len(plain))
		}
	}
	if _, err := key.WrapPad(ctx, nil); err == nil {
		t.Error("nothing is wrapped")
	}
	for _, refused := range [][]byte{nil, random(8), random(16), random(24), random(25), random(40)} {
		if _, err := key.Unwrap(ctx, refused); err != ErrRefused {
			t.Errorf("%d bytes: %v", len(refused), err)
		}
		if _, err := key.UnwrapPad(ctx, refused); err != ErrRefused {
			t.Errorf("%d bytes, padded: %v", len(refused), err)
		}
	}
	if n := k.lines("level=ERROR"); n != 0 {
		t.Errorf("the log:\n%s", k.log.String())
	}
}

// Judged by openssl and crypto/hmac.
func TestHMAC(t *testing.T) {
	d, ctx := newHSM(t).open(), t.Context()
	for size, h := range map[int]crypto.Hash{32: crypto.SHA256, 48: crypto.SHA384, 64: crypto.SHA512} {
		raw := random(size)
		key := imported(t, d, raw)
		for _, n := range []int{0, 1, 32, 1000} {
			data := random(n)
			judge := hmac.New(h.New, raw)
			judge.Write(data)
			if got, err := key.MAC(ctx, h, data); err != nil || !hmac.Equal(got, judge.Sum(nil)) {
				t.Errorf("%v, %d bytes: %x, %v", h, n, got, err)
			}
		}
		file := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(file, []byte("what is signed"), 0o600); err != nil {
			t.Fatal(err)
		}
		want := run(t, nil, "openssl", "dgst", fmt.Sprintf("-sha%d", 8*h.Size()), "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(raw), "-binary", file)
		if got, err := key.MAC(ctx, h, []byte("what is signed")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %x, openssl %x, %v", h, got, want, err)
		}
		if _, err := key.MAC(ctx, crypto.MD5, nil); err == nil {
			t.Error("MD5")
		}
	}
	if _, err := imported(t, d, random(16)).MAC(ctx, crypto.SHA256, nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("an AES key signs: %v", err)
	}
}

func TestGeneratedSecretsWork(t *testing.T) {
	d, ctx := newHSM(t).open(), t.Context()
	for _, bits := range []int{128, 192, 256, 384, 512} {
		id, public := generate(t, d, octSpec(bits))
		key := d.Secret(id)
		if got, err := key.Bits(ctx); err != nil || got != bits || public != nil {
			t.Errorf("%d bits are %d, %v, %v", bits, got, public, err)
		}
		if bits <= 256 {
			wrapped, err := key.Wrap(ctx, make([]byte, 16))
			if err != nil {
				t.Error(err)
			}
			if got, err := key.Unwrap(ctx, wrapped); err != nil || !bytes.Equal(got, make([]byte, 16)) {
				t.Error(err)
			}
		}
		if bits >= 256 {
			h := map[int]crypto.Hash{256: crypto.SHA256, 384: crypto.SHA384, 512: crypto.SHA512}[bits]
			a, err := key.MAC(ctx, h, []byte("a"))
			b, err2 := key.MAC(ctx, h, []byte("b"))
			if err != nil || err2 != nil || len(a) != bits/8 || bytes.Equal(a, b) {
				t.Error(err, err2)
			}
			zero := hmac.New(sha256.New, make([]byte, bits/8))
			if got, err := key.MAC(ctx, crypto.SHA256, nil); err != nil || hmac.Equal(got, zero.Sum(nil)) {
				t.Errorf("a key of zeros, or %v", err)
			}
		}
	}
	for _, n := range []int{0, 1, 15, 20, 33, 65} {
		if err := d.ImportSecret(ctx, NewID(), seal.NewValue(make([]byte, n))); !errors.Is(err, pki.ErrKeyType) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
