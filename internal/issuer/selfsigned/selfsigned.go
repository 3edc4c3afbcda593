package selfsigned

import (
	"context"
	"fmt"
	"time"

	"coffer/internal/issuance"
	"coffer/internal/pki"
)

// backdate is how long before the issuance the validity begins, so that clocks
// which are a little behind accept the certificate at once (contract
// certificates.md, 10.2).
const backdate = 10 * time.Minute

// Issuer signs by itself. The zero Issuer is ready.
type Issuer struct{}

// Issue makes the certificate that the operation's policy describes.
func (Issuer) Issue(_ context.Context, o issuance.Order) (*issuance.Issued, error) {
	months := o.Operation.Policy.X509.ValidityMonths
	leaf, err := o.Sign(o.Now.Add(-backdate), pki.AddMonths(o.Now, months))
	if err != nil {
		return nil, fmt.Errorf("self-signing: %w", err)
	}
	return &issuance.Issued{Leaf: leaf}, nil
}
