package authn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"coffer/internal/directory"
	"coffer/internal/fips"
	"coffer/internal/token"
)

// assertionAlgorithms are what clients sign assertions with (contract
// identity.md, 5.6).
var assertionAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256}

// ByAssertion finds the application that a client id and a client_assertion
// belong to, or answers a Denial and the kind of credential that was tried. A token whose
// iss and sub are the client id itself is signed with one of the application's
// certificates, for an audience that ours tells to be this server; any other is
// a federated token.
func (v *Verifier) ByAssertion(ctx context.Context, clientID, assertion string, ours func(audience string) bool) (directory.Proof, directory.CredentialKind, error) {
	p, creds, err := v.dir.Client(ctx, clientID)
	if err != nil {
		return directory.Proof{}, "", err
	}
	if p == nil {
		return directory.Proof{}, "", directory.UnknownClient
	}
	if len(assertion) > maxToken {
		return directory.Proof{}, "", directory.BadSignature
	}
	jws, err := jose.ParseSignedCompact(assertion, asymmetric)
	if err != nil || len(jws.Signatures) != 1 {
		return directory.Proof{}, "", directory.BadSignature
	}
	var peek struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
	}
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &peek) != nil {
		return directory.Proof{}, "", directory.BadSignature
	}
	kind, proof := directory.Federated, directory.Proof{Principal: p}
	if strings.EqualFold(peek.Issuer, p.AppID) && strings.EqualFold(peek.Subject, p.AppID) {
		kind = directory.Certificate
		proof.Credential, err = v.byCertificate(ctx, p, creds, jws, ours)
	} else {
		proof.Credential, err = v.byFederation(ctx, creds, jws, peek.Issuer, peek.Subject)
	}
	switch {
	case err != nil:
		return directory.Proof{}, kind, err
	case !p.Enabled:
		return directory.Proof{}, kind, directory.DisabledClient
	}
	return proof, kind, nil
}

func (v *Verifier) byCertificate(ctx context.Context, p *directory.Principal, creds []*directory.Credential, jws *jose.JSONWebSignature, ours func(string) bool) (*directory.Credential, error) {
	header := jws.Signatures[0].Header
	if !slices.Contains(assertionAlgorithms, jose.SignatureAlgorithm(header.Algorithm)) {
		return nil, directory.BadSignature
	}
	now := v.now()
	used, cert := signerOf(header, creds, now)
	if cert == nil {
		return nil, directory.BadSignature
	}
	payload, err := jws.Verify(cert.PublicKey)
	if err != nil {
		return nil, directory.BadSignature
	}
	c, err := parseClaims(payload)
	if err != nil {
		return nil, directory.BadSignature
	}
	life, err := c.times()
	if err != nil || life.over(now, v.skew) || life.early(now, v.skew) {
		return nil, directory.BadTimes
	}
	if life.long(now, 0) { // its id is remembered as long
		return nil, directory.TooLong
	}
	audience, err := c.texts("aud")
	if err != nil || !slices.ContainsFunc(audience, ours) {
		return nil, directory.BadAudience
	}
	jti, err := c.text("jti")
	if err != nil {
		return nil, directory.BadSignature
	}
	if jti == "" { // without an id the assertion is its own
		jti = string(payload)
	}
	sum := sha256.Sum256([]byte(p.AppID + " " + jti))
	return used, v.useAssertion(ctx, hex.EncodeToString(sum[:]), life.expires.Add(v.skew))
}

// useAssertion records an assertion's id, or answers BadTimes when it was used
// before. It is on record before a token is minted: a crash between costs the
// client a new assertion, never us a second use.
func (v *Verifier) useAssertion(ctx context.Context, id string, until time.Time) error {
	var fresh bool
	err := v.db.Update(ctx, func(tx Tx) (err error) {
		if err = tx.ForgetAssertions(ctx, v.now()); err != nil {
			return err
		}
		fresh, err = tx.RememberAssertion(ctx, id, until)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording an assertion: %w", err)
	}
	if !fresh {
		return directory.BadTimes
	}
	return nil
}

// signerOf finds the registered certificate that a header's thumbprint names:
// x5t#S256 or x5t, in the standard or the URL alphabet, with or without
// padding. x5c is not looked at: what is registered decides.
func signerOf(h jose.Header, creds []*directory.Credential, now time.Time) (*directory.Credential, *x509.Certificate) {
	s256, _ := h.ExtraHeaders["x5t#S256"].(string)
	s1, _ := h.ExtraHeaders["x5t"].(string)
	want256, want1 := anyBase64(s256), anyBase64(s1)
	for _, c := range creds {
		if c.Kind != directory.Certificate || c.Expired(now) {
			continue
		}
		sum256, sum1 := sha256.Sum256(c.Certificate), fips.NameSHA1(c.Certificate)
		// SHA-1 only names a certificate; what proves is the signature.
		if !bytes.Equal(want256, sum256[:]) && !(s256 == "" && bytes.Equal(want1, sum1[:])) {
			continue
		}
		if cert, err := x509.ParseCertificate(c.Certificate); err == nil && !now.Before(cert.NotBefore.Add(-token.DefaultSkew)) {
			return c, cert
		}
	}
	return nil, nil
}

// anyBase64 decodes either alphabet, padded or not; nil when it is neither.
func anyBase64(s string) []byte {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// byFederation checks a token of another issuer. Nothing is fetched before a
// registered credential names the issuer.
func (v *Verifier) byFederation(ctx context.Context, creds []*directory.Credential, jws *jose.JSONWebSignature, issuer, subject string) (*directory.Credential, error) {
	now := v.now()
	var matching []*directory.Credential
	for _, c := range creds {
		if c.Kind == directory.Federated && c.Issuer == issuer && c.Subject == subject && !c.Expired(now) {
			matching = append(matching, c)
		}
	}
	if len(matching) == 0 || v.client == nil {
		return nil, directory.NotFederated
	}
	header := jws.Signatures[0].Header
	i := v.issuer(issuer)
	if i == nil {
		i = v.foreignIssuer(issuer)
	}
	if !slices.Contains(i.algorithms, jose.SignatureAlgorithm(header.Algorithm)) {
		return nil, directory.BadSignature
	}
	_, payload, err := i.verify(ctx, jws)
	if err != nil {
		return nil, err
	}
	if payload == nil {
		return nil, directory.BadSignature
	}
	c, err := parseClaims(payload)
	if err != nil {
		return nil, directory.BadSignature
	}
	life, err := c.times()
	if err != nil || life.over(now, v.skew) || life.early(now, v.skew) {
		return nil, directory.BadTimes
	}
	if life.long(now, v.skew) {
		return nil, directory.TooLong
	}
	audience, err := c.texts("aud")
	if err != nil {
		return nil, directory.BadSignature
	}
	n := slices.IndexFunc(matching, func(f *directory.Credential) bool { return intersect(audience, f.Audiences) })
	if n < 0 {
		return nil, directory.NotFederated
	}
	return matching[n], nil
}

// foreignIssuer is an issuer that only federated credentials name. It may sign
// with any algorithm that is not symmetric; its bearer tokens are not accepted.
func (v *Verifier) foreignIssuer(url string) *issuer {
	keys, ok := v.foreign.Get(url)
	if !ok {
		keys = v.newKeySet(Issuer{URL: url})
		v.foreign.Put(url, keys)
	}
	i := &issuer{url: url, algorithms: asymmetric}
	i.keysOf(keys)
	return i
}
