package servercert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"coffer/internal/seal"
)

// RootKey seals private keys in files; the root key of the vault is one.
type RootKey interface {
	seal.Keeper
	CurrentID() string
}

// A private key in a file is PKCS#8 in clear, or its scalar of 32 bytes as the root key wraps data keys. The headers of the
// sealed form are the root key's id and that of the key itself.
const (
	clearKey  = "PRIVATE KEY"
	sealedKey = "COFFER SEALED PRIVATE KEY"

	keyHeader  = "Key"
	rootHeader = "Root-Key"

	keyScope = "tls" // of the associated data of a sealed key: no vault has that id
)

// keyID names a public key: the first 8 bytes of the SHA-256 of its SubjectPublicKeyInfo, as 16 hex digits.
func keyID(public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:8])
}

// keyFile is a file with a private key that is not opened yet.
type keyFile struct {
	path  string
	block *pem.Block
}

func readKeyFile(path string) (keyFile, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return keyFile{}, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != clearKey && block.Type != sealedKey {
		return keyFile{}, fmt.Errorf("%s is not a private key as Coffer writes it", path)
	}
	return keyFile{path, block}, nil
}

func (f keyFile) sealed() bool { return f.block.Type == sealedKey }

// id names the key, without opening one that is sealed: who goes by it asks open, which compares.
func (f keyFile) id() (string, error) {
	if f.sealed() {
		return f.block.Headers[keyHeader], nil
	}
	key, err := f.open(nil)
	if err != nil {
		return "", err
	}
	return keyID(key.Public()), nil
}

// open gives the key.
func (f keyFile) open(root RootKey) (*ecdsa.PrivateKey, error) {
	if !f.sealed() {
		key, err := x509.ParsePKCS8PrivateKey(f.block.Bytes)
		if ec, ok := key.(*ecdsa.PrivateKey); err == nil && ok {
			return ec, nil
		}
		return nil, fmt.Errorf("%s holds no private key of Coffer's", f.path)
	}
	if root == nil {
		return nil, fmt.Errorf("%s is sealed by the root key of a vault", f.path)
	}
	id := f.block.Headers[keyHeader]
	scalar, err := root.Unwrap(context.Background(), seal.DataKey{Scope: keyScope, ID: id, RootID: f.block.Headers[rootHeader], Wrapped: f.block.Bytes})
	if errors.Is(err, seal.ErrRootKey) {
		return nil, fmt.Errorf("%s is sealed by a root key that is not at hand: bring the folder from the replica that rotated the root key, or from a"+
			" backup of the root key's time; without one, remove the folder, and clients must trust a new CA: %w", f.path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", f.path, err)
	}
	raw := scalar.Reveal()
	defer clear(raw)
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil || keyID(key.Public()) != id {
		return nil, fmt.Errorf("%s holds another key than it says", f.path)
	}
	return key, nil
}

// writeKey replaces the file of a key, sealed when there is a root key.
func writeKey(path string, key *ecdsa.PrivateKey, root RootKey) error {
	if root == nil {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		defer clear(der)
		return writePEM(path, 0o600, &pem.Block{Type: clearKey, Bytes: der})
	}
	scalar, err := key.Bytes()
	if err != nil {
		return err
	}
	defer clear(scalar)
	id := keyID(key.Public())
	rootID, wrapped, err := root.Wrap(context.Background(), keyScope, id, seal.NewValue(scalar))
	if err != nil {
		return fmt.Errorf("sealing %s: %w", path, err)
	}
	return writePEM(path, 0o600, &pem.Block{Type: sealedKey, Headers: map[string]string{keyHeader: id, rootHeader: rootID}, Bytes: wrapped})
}

// reseal writes a key file anew that is in clear though there is a root key, or is sealed by another than the current one.
func reseal(path string, root RootKey) error {
	f, err := readKeyFile(path)
	if errors.Is(err, os.ErrNotExist) || root == nil {
		return nil
	}
	if err != nil || f.sealed() && f.block.Headers[rootHeader] == root.CurrentID() {
		return err
	}
	key, err := f.open(root)
	if err != nil {
		return err
	}
	return writeKey(path, key, root)
}
