package certificate

import (
	"coffer/internal/bundle"
	"coffer/internal/seal"
)

// SecretToPEM is the other form of a certificate's secret whose value is a PFX in
// base64 (contract secrets.md, 5.2).
func SecretToPEM(pfx seal.Value) (seal.Value, error) {
	text, err := bundle.ToPEM(string(pfx.Reveal()))
	return seal.NewValue([]byte(text)), err
}
