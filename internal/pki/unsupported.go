package pki

import "fmt"

// KeyTypeError is an [ErrKeyType] that names what the key is.
type KeyTypeError struct {
	Kind string // "RSA of 1024 bits", "Ed25519", or an OID
}

func (e *KeyTypeError) Error() string { return ErrKeyType.Error() + ": " + e.Kind }

func (e *KeyTypeError) Unwrap() error { return ErrKeyType }

func unsupportedKey(id oid) error {
	kind := unsupportedNames[id.String()]
	if kind == "" {
		kind = "the algorithm " + id.String()
	}
	return &KeyTypeError{Kind: kind}
}

func unsupportedRSA(bits int) error {
	return &KeyTypeError{Kind: fmt.Sprintf("RSA of %d bits", bits)}
}

// unsupportedNames are what others call algorithms and curves that people have keys
// of, by OID.
var unsupportedNames = map[string]string{
	"1.2.840.10040.4.1":       "DSA",
	"1.2.840.113549.1.1.10":   "RSA-PSS",
	"1.2.840.113549.1.3.1":    "Diffie-Hellman",
	"1.3.101.110":             "X25519",
	"1.3.101.111":             "X448",
	"1.3.101.112":             "Ed25519",
	"1.3.101.113":             "Ed448",
	"1.2.840.10045.3.1.1":     "EC on P-192",
	"1.3.132.0.33":            "EC on P-224",
	"1.3.36.3.3.2.8.1.1.7":    "EC on brainpoolP256r1",
	"1.3.36.3.3.2.8.1.1.11":   "EC on brainpoolP384r1",
	"1.3.36.3.3.2.8.1.1.13":   "EC on brainpoolP512r1",
	"1.2.156.10197.1.301":     "SM2",
	"2.16.840.1.101.3.4.3.17": "ML-DSA-44",
	"2.16.840.1.101.3.4.3.18": "ML-DSA-65",
	"2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
