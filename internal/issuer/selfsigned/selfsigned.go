// Package selfsigned is the issuer Self: the vault signs a certificate with the
// certificate's own key, in one step. How long it is valid is the policy's rule.
package selfsigned

import (
	"context"
	"errors"
	"fmt"

	"coffer/internal/issuance"
	"coffer/internal/seal"
)

// Issuer signs by itself. The zero Issuer is ready.
type Issuer struct{}

// Begin signs the certificate that the policy describes: nothing is sent for it.
func (Issuer) Begin(_ context.Context, o issuance.Order) (issuance.Answer, error) {
	leaf, err := o.SelfSign()
	if err != nil {
		return nil, fmt.Errorf("self-signing: %w", err)
	}
	return issuance.Issued{Leaf: leaf}, nil
}

var errOneStep = errors.New("selfsigned: an order has one step")

// Continue is never asked for.
func (Issuer) Continue(context.Context, issuance.Order, seal.Value) (issuance.Answer, error) {
	return nil, errOneStep
}
