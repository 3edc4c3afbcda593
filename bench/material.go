package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// material is what keys are used on, in the vault and outside of it.
type material struct {
	rsa       *rsa.PrivateKey // 2048 bits
	ec        *ecdsa.PrivateKey
	digest    []byte // SHA-256
	signature []byte // RS256 of digest
	plain     []byte // a data key, of 32 bytes
	wrapped   []byte // plain under RSA-OAEP-256
}

const rsaFile, ecFile = "bench-rsa.pk8", "bench-ec.pk8"

// makeKeys writes new keys to dir, for every process of a run to use the same.
func makeKeys(dir string) error {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	for name, k := range map[string]any{rsaFile: r, ecFile: e} {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), der, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// loadMaterial makes the material with the keys in dir.
func loadMaterial(dir string) (*material, error) {
	read := func(name string) (any, error) {
		der, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		return x509.ParsePKCS8PrivateKey(der)
	}
	r, err := read(rsaFile)
	if err != nil {
		return nil, err
	}
	e, err := read(ecFile)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("bench"))
	m := &material{rsa: r.(*rsa.PrivateKey), ec: e.(*ecdsa.PrivateKey), digest: digest[:], plain: make([]byte, 32)}
	if m.signature, err = rsa.SignPKCS1v15(nil, m.rsa, crypto.SHA256, m.digest); err != nil {
		return nil, err
	}
	m.wrapped, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &m.rsa.PublicKey, m.plain, nil)
	return m, err
}

// printCompute prints how often a second the cryptography of an operation runs on
// all cores when nothing else does.
func printCompute(ctx context.Context, dir, name string, window time.Duration) error {
	compute, err := computing(dir, name)
	if err != nil {
		return err
	}
	s, err := load(ctx, runtime.GOMAXPROCS(0), window, func(context.Context, int, int) error { return compute() })
	fmt.Println(s.rate)
	return err
}

// computing is the cryptography of an operation by name, with the keys in dir;
// nothing for "".
func computing(dir, name string) (func() error, error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	for _, op := range keyOps {
		if op.name == name && op.compute != nil {
			m, err := loadMaterial(dir)
			return func() error { return op.compute(m) }, err
		}
	}
	return nil, fmt.Errorf("%q computes nothing", name)
}
