package directory

import (
	"context"
	"crypto/subtle"
	"errors"

	"coffer/internal/guid"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// Denial says why the token service refused a client's credential.
type Denial int

// The denials. Each has a number of its own on the wire (contract identity.md,
// 5.5).
const (
	UnknownClient  Denial = iota + 1 // no application has the client id
	DisabledClient                   // the credential is right, the principal is disabled
	WrongSecret                      // no secret or identity header matches
	ExpiredSecret                    // it matches one that has ended
	BadSignature                     // the assertion is malformed or its signature does not verify
	BadTimes                         // the assertion is not valid now, or was used before
	TooLong                          // the assertion is good for longer than MaxTokenLife
	BadAudience                      // the assertion was made for someone else
	NotFederated                     // no federated credential matches the assertion
)

func (d Denial) Error() string {
	switch d {
	case UnknownClient:
		return "unknown client"
	case DisabledClient:
		return "disabled client"
	case WrongSecret:
		return "wrong secret"
	case ExpiredSecret:
		return "expired secret"
	case BadSignature:
		return "bad assertion signature"
	case BadTimes:
		return "assertion outside its time, or used before"
	case TooLong:
		return "assertion that is good for too long"
	case BadAudience:
		return "assertion for another audience"
	case NotFederated:
		return "no federated credential matches"
	default:
		return "denied"
	}
}

// BySecret finds the application that a client id and secret belong to, or
// answers a Denial. An unknown client costs what a wrong secret costs: the same
// reads, the same number of comparisons at the least.
func (d *Directory) BySecret(ctx context.Context, clientID string, secret seal.Value) (Proof, error) {
	text := secret.Reveal()
	if len(text) > maxSecret {
		text = nil // matches nothing
	}
	p, creds, err := d.Client(ctx, clientID)
	if err != nil {
		return Proof{}, err
	}
	given, now := hashSecret(text), d.now()
	matched, good, which := 0, 0, 0
	for i := range maxCredentials {
		stored := make([]byte, len(given)) // compared when there is no i-th secret
		live, real := 0, 0
		if i < len(creds) && creds[i].Kind == Secret && len(creds[i].Hash) == len(given) {
			stored, real = creds[i].Hash, 1
			if !creds[i].Expired(now) {
				live = 1
			}
		}
		same := subtle.ConstantTimeCompare(stored, given) & real
		matched |= same
		good |= same & live
		which = subtle.ConstantTimeSelect(same&live, i, which)
	}
	switch {
	case p == nil:
		return Proof{}, UnknownClient
	case matched == 0:
		return Proof{}, WrongSecret
	case good == 0:
		return Proof{}, ExpiredSecret
	case !p.Enabled:
		return Proof{}, DisabledClient
	}
	return Proof{p, creds[which]}, nil
}

// Client reads the service principal of a client id with its credentials; nil
// when there is none, after the same reads.
func (d *Directory) Client(ctx context.Context, clientID string) (p *Principal, creds []*Credential, err error) {
	appID, ok := guid.Parse(clientID)
	if !ok {
		appID = guid.Zero
	}
	err = d.db.View(ctx, func(tx Tx) error {
		p, err = tx.PrincipalByAppID(ctx, appID)
		if errors.Is(err, object.ErrNotFound) {
			p, err = nil, nil
		}
		if err != nil {
			return err
		}
		owner := guid.Zero
		if p != nil {
			owner = p.ObjectID
		}
		creds, err = tx.Credentials(ctx, owner)
		return err
	})
	if p != nil && p.Kind != ServicePrincipal {
		p, creds = nil, nil
	}
	return p, creds, err
}

// ByIdentityHeader finds the managed identity that an X-IDENTITY-HEADER stands
// for, or answers a Denial. The look-up is by the hash of 256 random bits:
// whatever a caller learns from its time says nothing about the value.
func (d *Directory) ByIdentityHeader(ctx context.Context, header seal.Value) (Proof, error) {
	text := header.Reveal()
	if len(text) == 0 || len(text) > maxSecret {
		return Proof{}, WrongSecret
	}
	given := hashSecret(text)
	var c *Credential
	var p *Principal
	err := d.db.View(ctx, func(tx Tx) (err error) {
		owner := guid.Zero
		c, err = tx.CredentialByHash(ctx, IdentityHeader, given)
		if errors.Is(err, object.ErrNotFound) {
			c, err = nil, nil
		}
		if err != nil {
			return err
		}
		if c != nil {
			owner = c.ObjectID
		}
		p, err = tx.Principal(ctx, owner)
		if errors.Is(err, object.ErrNotFound) {
			p, err = nil, nil
		}
		return err
	})
	switch {
	case err != nil:
		return Proof{}, err
	case c == nil || p == nil || subtle.ConstantTimeCompare(c.Hash, given) != 1:
		return Proof{}, WrongSecret
	case c.Expired(d.now()):
		return Proof{}, ExpiredSecret
	case !p.Enabled:
		return Proof{}, DisabledClient
	}
	return Proof{p, c}, nil
}
