package authntest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

// Object is a JSON object.
type Object map[string]any

// With gives a copy with some members set, or dropped where the value is nil.
func (o Object) With(changes Object) Object {
	c := maps.Clone(o)
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

// B64 is base64url without padding.
func B64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Sign makes a compact JWS with nothing but the standard library.
func Sign(header, payload any, key any) string {
	h, _ := json.Marshal(header)
	p, ok := payload.([]byte)
	if !ok {
		p, _ = json.Marshal(payload)
	}
	input := B64(h) + "." + B64(p)
	sum := sha256.Sum256([]byte(input))
	var sig []byte
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if o, ok := header.(Object); ok && o["alg"] == "PS256" {
			sig, _ = rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, _ = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		}
	case *ecdsa.PrivateKey:
		r, s, _ := ecdsa.Sign(rand.Reader, k, sum[:])
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case []byte: // HMAC
		m := hmac.New(sha256.New, k)
		m.Write([]byte(input))
		sig = m.Sum(nil)
	case nil:
	}
	return input + "." + B64(sig)
}

// RSAKeys are three keys of 2048 bits.
var RSAKeys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

// Split decodes a token's payload and header.
func Split(t testing.TB, token string) (payload, header Object) {
	t.Helper()
	parts := strings.Split(token, ".")
	if err := errors.Join(json.Unmarshal(Unb64(t, parts[0]), &header), json.Unmarshal(Unb64(t, parts[1]), &payload)); err != nil {
		t.Fatal(err)
	}
	return payload, header
}

// Unb64 undoes B64.
func Unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// SelfSigned makes a certificate; expires after life.
func SelfSigned(t testing.TB, public, private any, from time.Time, life time.Duration) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotBefore: from, NotAfter: from.Add(life),
	}, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}}, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
