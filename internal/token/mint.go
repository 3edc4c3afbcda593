package token

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"coffer/internal/directory"
	"coffer/internal/guid"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// How long tokens live (contract identity.md, 5.5).
const (
	tokenLifetime           = 60 * time.Minute
	managedIdentityLifetime = directory.MaxTokenLife
)

// maxTokenGroups is how many groups fit into a token; with more the claim is
// left out and hasgroups says so.
const maxTokenGroups = 200

// Token is a minted access token.
type Token struct {
	Text      seal.Value // the compact JWS
	ID        string     // its uti
	KeyID     string     // of the key that signed it
	NotBefore time.Time
	Expires   time.Time
}

// accessToken is the payload of a minted token (contract identity.md, 5.7).
type accessToken struct {
	Audience  string   `json:"aud"`
	Issuer    string   `json:"iss"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	Expires   int64    `json:"exp"`
	AppID     string   `json:"appid"`
	AppIDACR  string   `json:"appidacr"`
	Groups    []string `json:"groups,omitempty"`
	HasGroups bool     `json:"hasgroups,omitempty"`
	IDType    string   `json:"idtyp"`
	ObjectID  string   `json:"oid"`
	Subject   string   `json:"sub"`
	TenantID  string   `json:"tid"`
	TokenID   string   `json:"uti"`
	Version   string   `json:"ver"`
	Resource  string   `json:"xms_mirid,omitempty"`

	// What ends the token before its time: the credential that obtained it, which must
	// be there, and ValidAfter of the principal, which must be the same.
	Credential string `json:"coffer_credential"`
	ValidAfter int64  `json:"coffer_valid_after,omitempty"`
}

// Mint makes an access token for a principal that has just proved itself. The caller has
// checked that the audience is one that this server serves. What was revoked after the
// proof was read ends the token too.
func (s *Service) Mint(ctx context.Context, proof directory.Proof, audience string) (Token, error) {
	p := proof.Principal
	key, err := s.signer(ctx)
	if err != nil {
		return Token{}, err
	}
	standing, err := s.dir.Standing(ctx, p.ObjectID)
	if err != nil {
		return Token{}, err
	}
	now := object.Second(s.now())
	life := tokenLifetime
	if p.Kind == directory.ManagedIdentity {
		life = managedIdentityLifetime
	}
	t := Token{ID: guid.New(), KeyID: key.row.ID, NotBefore: now, Expires: now.Add(life)}
	claims := accessToken{
		Audience: audience, Issuer: s.issuer,
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: t.Expires.Unix(),
		AppID: p.AppID, AppIDACR: "2", IDType: "app",
		ObjectID: p.ObjectID, Subject: p.ObjectID, TenantID: s.tenant,
		TokenID: t.ID, Version: "1.0",
		Credential: proof.Credential.ID, ValidAfter: p.ValidAfter,
	}
	if proof.Credential.Kind == directory.Secret {
		claims.AppIDACR = "1"
	}
	if p.Kind == directory.ManagedIdentity {
		claims.Resource = p.ResourceID()
	}
	if len(standing.Groups) <= maxTokenGroups {
		claims.Groups = standing.Groups
	} else {
		claims.HasGroups = true
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return Token{}, err
	}
	jws, err := key.signer.Sign(payload)
	if err != nil {
		return Token{}, fmt.Errorf("signing a token: %w", err)
	}
	text, err := jws.CompactSerialize()
	t.Text = seal.NewValue([]byte(text))
	return t, err
}
