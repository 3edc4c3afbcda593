package keytest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	_ "crypto/sha256" // of HMAC
	_ "crypto/sha512"
	"encoding/binary"

	"coffer/internal/hsm"
)

// secret is a symmetric key of an HSM.
type secret struct {
	t  *HSM
	id hsm.ID
}

func (s secret) raw(operation string) ([]byte, error) { return use[[]byte](s.t, operation, s.id) }

func (s secret) block(operation string) (cipher.Block, error) {
	raw, err := s.raw(operation)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(raw)
}

func (s secret) Bits(context.Context) (int, error) {
	raw, err := s.raw("Bits")
	return 8 * len(raw), err
}

func (s secret) SealGCM(_ context.Context, iv, aad, plain []byte) (ciphertext, tag []byte, err error) {
	b, err := s.block("SealGCM")
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(b)
	if err != nil {
		return nil, nil, err
	}
	out := aead.Seal(nil, iv, plain, aad)
	return out[:len(plain)], out[len(plain):], nil
}

func (s secret) OpenGCM(_ context.Context, iv, aad, ciphertext, tag []byte) ([]byte, error) {
	b, err := s.block("OpenGCM")
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(b)
	if err != nil {
		return nil, err
	}
	return refuse(aead.Open(nil, iv, append(bytes.Clone(ciphertext), tag...), aad))
}

func refuse(plain []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, hsm.ErrRefused
	}
	return plain, nil
}

func (s secret) EncryptCBC(_ context.Context, iv, plain []byte) ([]byte, error) {
	b, err := s.block("EncryptCBC")
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(b, iv).CryptBlocks(out, plain)
	return out, nil
}

func (s secret) DecryptCBC(_ context.Context, iv, ciphertext []byte) ([]byte, error) {
	b, err := s.block("DecryptCBC")
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(out, ciphertext)
	return out, nil
}

func (s secret) EncryptCBCPad(ctx context.Context, iv, plain []byte) ([]byte, error) {
	n := aes.BlockSize - len(plain)%aes.BlockSize
	return s.EncryptCBC(ctx, iv, append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...))
}

func (s secret) DecryptCBCPad(ctx context.Context, iv, ciphertext []byte) ([]byte, error) {
	out, err := s.DecryptCBC(ctx, iv, ciphertext)
	if err != nil {
		return nil, err
	}
	n := int(out[len(out)-1])
	if n == 0 || n > aes.BlockSize || !bytes.HasSuffix(out, bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, hsm.ErrRefused
	}
	return out[:len(out)-n], nil
}

func (s secret) Wrap(_ context.Context, plain []byte) ([]byte, error) {
	b, err := s.block("Wrap")
	if err != nil {
		return nil, err
	}
	return wrap(b, bytes.Repeat([]byte{0xA6}, 8), plain), nil
}

func (s secret) Unwrap(_ context.Context, wrapped []byte) ([]byte, error) {
	b, err := s.block("Unwrap")
	if err != nil {
		return nil, err
	}
	check, plain := unwrap(b, wrapped)
	if !bytes.Equal(check, bytes.Repeat([]byte{0xA6}, 8)) {
		return nil, hsm.ErrRefused
	}
	return plain, nil
}

func (s secret) WrapPad(_ context.Context, plain []byte) ([]byte, error) {
	raw, err := s.raw("WrapPad")
	if err != nil {
		return nil, err
	}
	return WrapPad(raw, plain)
}

func (s secret) UnwrapPad(_ context.Context, wrapped []byte) ([]byte, error) {
	raw, err := s.raw("UnwrapPad")
	if err != nil {
		return nil, err
	}
	return unwrapPad(raw, wrapped)
}

func (s secret) MAC(_ context.Context, hash crypto.Hash, message []byte) ([]byte, error) {
	raw, err := s.raw("MAC")
	if err != nil {
		return nil, err
	}
	h := hmac.New(hash.New, raw)
	h.Write(message)
	return h.Sum(nil), nil
}

// wrap is RFC 3394, section 2.2.1.
func wrap(b cipher.Block, a, plain []byte) []byte {
	out := append(bytes.Clone(a), plain...)
	buf := make([]byte, 16)
	for t := range 6 * len(plain) / 8 {
		r := out[8+t%(len(plain)/8)*8:][:8]
		copy(buf, out[:8])
		copy(buf[8:], r)
		b.Encrypt(buf, buf)
		binary.BigEndian.PutUint64(buf, binary.BigEndian.Uint64(buf)^uint64(t+1))
		copy(out, buf[:8])
		copy(r, buf[8:])
	}
	return out
}

// unwrap is RFC 3394, section 2.2.2, without the check of a.
func unwrap(b cipher.Block, wrapped []byte) (a, plain []byte) {
	out := bytes.Clone(wrapped)
	n := len(out)/8 - 1
	buf := make([]byte, 16)
	for t := 6 * n; t > 0; t-- {
		r := out[8+(t-1)%n*8:][:8]
		binary.BigEndian.PutUint64(buf, binary.BigEndian.Uint64(out)^uint64(t))
		copy(buf[8:], r)
		b.Decrypt(buf, buf)
		copy(out, buf[:8])
		copy(r, buf[8:])
	}
	return out[:8], out[8:]
}

// WrapPad is RFC 5649, section 4.1: the inner part of a transfer blob.
func WrapPad(key, plain []byte) ([]byte, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	a := binary.BigEndian.AppendUint32([]byte{0xA6, 0x59, 0x59, 0xA6}, uint32(len(plain)))
	padded := append(bytes.Clone(plain), make([]byte, (8-len(plain)%8)%8)...)
	if len(padded) == 8 {
		out := append(a, padded...)
		b.Encrypt(out, out)
		return out, nil
	}
	return wrap(b, a, padded), nil
}

func unwrapPad(key, wrapped []byte) ([]byte, error) {
	b, err := aes.NewCipher(key)
	if err != nil || len(wrapped) < 16 || len(wrapped)%8 != 0 {
		return nil, hsm.ErrRefused
	}
	var a, plain []byte
	if len(wrapped) == 16 {
		out := make([]byte, 16)
		b.Decrypt(out, wrapped)
		a, plain = out[:8], out[8:]
	} else {
		a, plain = unwrap(b, wrapped)
	}
	n := int(binary.BigEndian.Uint32(a[4:]))
	if !bytes.Equal(a[:4], []byte{0xA6, 0x59, 0x59, 0xA6}) || n > len(plain) || n <= len(plain)-8 || bytes.Count(plain[n:], []byte{0}) != len(plain)-n {
		return nil, hsm.ErrRefused
	}
	return plain[:n], nil
}
