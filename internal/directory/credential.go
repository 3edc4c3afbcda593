package directory

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/guid"
	"coffer/internal/object"
	"coffer/internal/seal"
)

const (
	// secretBytes is how much randomness a secret holds: 256 bits.
	secretBytes = 32
	// secretPrefix lets scanners of source code recognize a secret, and keeps it
	// from beginning with a hyphen, which command lines take for a flag.
	secretPrefix = "cof_"
	// hintChars of a secret are kept to tell secrets apart: 18 of its 256 bits.
	hintChars = len(secretPrefix) + 3
	// maxSecret bounds what is hashed of a secret that a caller sends.
	maxSecret = 512
	// maxCertificate bounds the DER of a registered certificate.
	maxCertificate = 16 << 10
	// MinRSABits is the smallest RSA key whose signatures are believed.
	MinRSABits = 2048
	// maxIssuerText bounds a federated credential's issuer, subject and each of
	// its audiences; Entra ID has the same bound.
	maxIssuerText = 600
	maxAudiences  = 10
)

// defaultFederatedAudience is what a federated token is made for unless the
// credential says otherwise (contract identity.md, 7).
const defaultFederatedAudience = "api://AzureADTokenExchange"

// AddSecret gives an application a client secret: printable 7-bit text with 256
// random bits. It is returned this once and not kept. A zero expires is never.
func (d *Directory) AddSecret(ctx context.Context, g access.Grant, id string, expires time.Time) (*Credential, seal.Value, error) {
	g.MustEverywhere(access.CredentialAdd)
	return d.addRandom(ctx, g, id, Secret, expires, ServicePrincipal)
}

// AddIdentityHeader gives a managed identity the value of IDENTITY_HEADER for
// one workload. An application can have one too: clients whose environment names
// an application forward its client id to the managed-identity endpoint, which
// takes no other identity's. It is returned this once and not kept. A zero
// expires is never.
func (d *Directory) AddIdentityHeader(ctx context.Context, g access.Grant, id string, expires time.Time) (*Credential, seal.Value, error) {
	g.MustEverywhere(access.CredentialAdd)
	return d.addRandom(ctx, g, id, IdentityHeader, expires, ManagedIdentity, ServicePrincipal)
}

func (d *Directory) addRandom(ctx context.Context, g access.Grant, id string, kind CredentialKind, expires time.Time, owners ...Kind) (*Credential, seal.Value, error) {
	var raw [secretBytes]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	text := secretPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	c := &Credential{Kind: kind, Hash: hashSecret([]byte(text)), Hint: text[:hintChars]}
	if !expires.IsZero() {
		if !expires.After(d.now()) {
			return nil, seal.Value{}, fault.InvalidField("expires", "It lies in the past.")
		}
		end := object.Second(expires)
		c.Expires = &end
	}
	if err := d.add(ctx, g, id, c, owners...); err != nil {
		return nil, seal.Value{}, err
	}
	return c, seal.NewValue([]byte(text)), nil
}

func hashSecret(text []byte) []byte {
	sum := sha256.Sum256(text)
	return sum[:]
}

// AddCertificate registers a certificate, DER or PEM, whose key will sign the
// application's assertions: RSA of at least 2048 bits or EC P-256. Who issued
// it does not matter; it is good until its own end.
func (d *Directory) AddCertificate(ctx context.Context, g access.Grant, id string, certificate []byte) (*Credential, error) {
	g.MustEverywhere(access.CredentialAdd)
	cert, fail := parseCertificate(certificate)
	if cert == nil {
		return nil, fault.InvalidField("certificate", fail)
	}
	end := object.Second(cert.NotAfter)
	if !end.After(d.now()) {
		return nil, fault.InvalidField("certificate", "It has expired.")
	}
	sum := sha256.Sum256(cert.Raw)
	c := &Credential{Kind: Certificate, Hash: sum[:], Certificate: cert.Raw, Expires: &end}
	return c, d.add(ctx, g, id, c, ServicePrincipal)
}

// parseCertificate answers nil and a sentence that says why.
func parseCertificate(b []byte) (cert *x509.Certificate, fail string) {
	if len(b) > maxCertificate {
		return nil, "It is too large."
	}
	if bytes.Contains(b, []byte("-----BEGIN")) {
		block, _ := pem.Decode(b)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, "Its first PEM block is not a certificate."
		}
		b = block.Bytes
	}
	cert, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, "It is not an X.509 certificate."
	}
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < MinRSABits {
			return nil, fmt.Sprintf("Its RSA key has less than %d bits.", MinRSABits)
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, "Its EC key is not of curve P-256."
		}
	default:
		return nil, "Its key is neither RSA nor EC."
	}
	return cert, ""
}

// AddFederated lets tokens of another issuer stand for the application: those
// of exactly this issuer and subject that were made for one of the audiences
// (none: api://AzureADTokenExchange).
func (d *Directory) AddFederated(ctx context.Context, g access.Grant, id, issuer, subject string, audiences []string) (*Credential, error) {
	g.MustEverywhere(access.CredentialAdd)
	if err := CheckIssuerURL(issuer); err != nil {
		return nil, fault.InvalidField("issuer", "It must be an https URL without query and fragment.")
	}
	if len(subject) == 0 || len(subject) > maxIssuerText {
		return nil, fault.InvalidField("subject", fmt.Sprintf("It has 1 to %d bytes.", maxIssuerText))
	}
	if len(audiences) == 0 {
		audiences = []string{defaultFederatedAudience}
	}
	if len(audiences) > maxAudiences {
		return nil, fault.InvalidField("audiences", fmt.Sprintf("There are at most %d.", maxAudiences))
	}
	for _, a := range audiences {
		if len(a) == 0 || len(a) > maxIssuerText {
			return nil, fault.InvalidField("audiences", fmt.Sprintf("Each has 1 to %d bytes.", maxIssuerText))
		}
	}
	c := &Credential{Kind: Federated, Issuer: issuer, Subject: subject, Audiences: audiences}
	return c, d.add(ctx, g, id, c, ServicePrincipal)
}

// CheckIssuerURL checks an issuer whose keys we may have to fetch.
func CheckIssuerURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxIssuerText || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("it must be an https URL without query and fragment")
	}
	return nil
}

// RemoveCredential withdraws a credential; a *fault.Error of kind NotFound when the
// principal has none of that id, for a mistyped id must not read like a removal.
// The tokens that it obtained name it, and are refused from now on: at once in this
// process, in others as soon as their Source says. Those that other credentials obtained
// stay good, so that a credential can be replaced without a gap.
func (d *Directory) RemoveCredential(ctx context.Context, g access.Grant, id, credentialID string) error {
	g.MustEverywhere(access.CredentialRemove)
	return d.db.Update(ctx, func(tx Tx) error {
		p, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		have, err := tx.Credentials(ctx, p.ObjectID)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(have, func(c *Credential) bool { return c.ID == credentialID })
		if i < 0 {
			return &fault.Error{Kind: fault.NotFound, Msg: "The identity has no credential '" + credentialID + "'."}
		}
		g.Attempt().DescribeBefore(have[i].record())
		return tx.DeleteCredential(ctx, p.ObjectID, credentialID)
	})
}

// add completes c and stores it for the principal, which must be of one of the
// kinds of owners.
func (d *Directory) add(ctx context.Context, g access.Grant, id string, c *Credential, owners ...Kind) error {
	c.ID, c.Created = guid.New(), object.Second(d.now())
	err := d.db.Update(ctx, func(tx Tx) error {
		p, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if !slices.Contains(owners, p.Kind) {
			return fault.InvalidField("id", fmt.Sprintf("A credential of kind %s does not belong to a %s.", c.Kind, p.Kind))
		}
		have, err := tx.Credentials(ctx, p.ObjectID)
		if err != nil {
			return err
		}
		if len(have) >= maxCredentials {
			return &fault.Error{Kind: fault.Conflict, Msg: fmt.Sprintf("A principal has at most %d credentials.", maxCredentials)}
		}
		c.ObjectID = p.ObjectID
		g.Attempt().Describe(c.record())
		return tx.InsertCredential(ctx, c)
	})
	if errors.Is(err, object.ErrExists) {
		return &fault.Error{Kind: fault.Conflict, Msg: "The credential is registered already."}
	}
	return err
}
