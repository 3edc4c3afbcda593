package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// hostile reads while others send the most costly bodies that there are, and while they
// send each kind of them alone.
func (r *run) hostile() error {
	bodies, err := hostileBodies(r.dir)
	if err != nil {
		return err
	}
	send := func(ctx context.Context, b hostileBody) error {
		path := "/certificates/" + fresh("hostile") + "/import"
		if b.restore {
			path = "/certificates/restore"
		}
		return r.vault.attack(ctx, path, b.body)
	}
	for _, b := range bodies {
		if err := r.beside("16 others send "+b.name, func(ctx context.Context, _, _ int) error { return send(ctx, b) }); err != nil {
			return err
		}
	}
	return r.beside("16 others send all of these", func(ctx context.Context, worker, turn int) error {
		return send(ctx, bodies[(worker+turn)%len(bodies)])
	})
}

// attack sends a body whose answer does not matter, and costs the client nothing.
func (s *server) attack(ctx context.Context, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url(path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

type hostileBody struct {
	name    string
	body    []byte
	restore bool
}

// hostileBodies are as costly as the limits let them be.
func hostileBodies(dir string) ([]hostileBody, error) {
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		return nil, err
	}
	chain, err := deepChain(&key.PublicKey, 90)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	pfx, err := costlyPFX(dir, private, chain)
	if err != nil {
		return nil, err
	}
	large, err := largeRSA(16384)
	if err != nil {
		return nil, err
	}
	blob := make([]byte, 8<<20)
	rand.Read(blob)
	all := []hostileBody{
		{name: "PFX of 600,000 iterations for each derivation"}, {name: "PEM with a chain of 90 and RSA-4096"}, {name: "RSA of 16,384 bits"},
		{name: "restores of 11 MB", restore: true},
	}
	for i, value := range []map[string]string{
		{"value": base64.StdEncoding.EncodeToString(pfx), "pwd": pfxPassword},
		{"value": string(private) + string(chain)},
		{"value": string(large) + string(chain)},
		{"value": base64.RawURLEncoding.EncodeToString(blob)},
	} {
		if all[i].body, err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// deepChain is a leaf for public and its issuers, each signed by the next, in PEM.
func deepChain(public any, n int) ([]byte, error) {
	keys := make([]*ecdsa.PrivateKey, n)
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	name := func(i int) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: fmt.Sprintf("bench %d", i)},
			NotBefore: time.Now(), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: i > 0, BasicConstraintsValid: true}
	}
	var out []byte
	for i := range n {
		of, issuer := public, min(i+1, n-1)
		if i > 0 {
			of = keys[i].Public()
		}
		der, err := x509.CreateCertificate(rand.Reader, name(i), name(issuer), of, keys[issuer])
		if err != nil {
			return nil, err
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out, nil
}

const pfxPassword = "bench"

// costlyPFX has OpenSSL write a PFX as Firefox and GnuTLS do.
func costlyPFX(dir string, private, chain []byte) ([]byte, error) {
	in, out := filepath.Join(dir, "hostile.pem"), filepath.Join(dir, "hostile.pfx")
	if err := os.WriteFile(in, append(bytes.Clone(private), chain...), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("openssl", "pkcs12", "-export", "-iter", "600000", "-in", in, "-out", out, "-passout", "pass:"+pfxPassword)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("openssl: %s", text), err)
	}
	return os.ReadFile(out)
}

// largeRSA is what looks like a private key of that many bits.
func largeRSA(bits int) ([]byte, error) {
	number := func(bits int) *big.Int {
		b := make([]byte, bits/8)
		rand.Read(b)
		n := new(big.Int).SetBytes(b)
		return n.SetBit(n.SetBit(n, bits-1, 1), 0, 1)
	}
	der, err := asn1.Marshal(struct {
		Version             int
		N                   *big.Int
		E                   int
		D, P, Q, DP, DQ, QI *big.Int
	}{0, number(bits), 65537, number(bits), number(bits / 2), number(bits / 2), number(bits / 2), number(bits / 2), number(bits / 2)})
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}), err
}
