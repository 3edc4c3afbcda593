package keyvault_test

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/keyvault"
	"coffer/internal/object"
)

// prepared answers every Get with what the first one found, to measure the door
// alone.
type prepared struct {
	keyvault.Certificates
	found *certificate.Bundle
}

func (p *prepared) Get(ctx context.Context, g access.Grant, ver object.Version) (*certificate.Bundle, error) {
	if p.found == nil {
		var err error
		if p.found, err = p.Certificates.Get(ctx, g, ver); err != nil {
			return nil, err
		}
	}
	return p.found, nil
}
