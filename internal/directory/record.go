package directory

import (
	"encoding/hex"

	"coffer/internal/audit"
)

// record is the principal as audit records tell it.
func (p *Principal) record() audit.Details {
	return audit.Details{Principal: &audit.PrincipalProperties{
		ObjectID: p.ObjectID, AppID: p.AppID, Name: p.Name, Kind: string(p.Kind), Enabled: p.Enabled, ValidAfter: p.ValidAfter,
	}}
}

// record says which credential it is. A certificate is known by its hash, which proves
// nothing; the hash of a secret stays here, and so does its hint.
func (c *Credential) record() audit.Details {
	p := &audit.CredentialProperties{
		ObjectID: c.ObjectID, ID: c.ID, Kind: string(c.Kind), Issuer: c.Issuer, Subject: c.Subject, Audiences: c.Audiences,
	}
	if c.Expires != nil {
		p.Expires = new(c.Expires.Unix())
	}
	if c.Kind == Certificate {
		p.SHA256 = hex.EncodeToString(c.Hash)
	}
	return audit.Details{Credential: p}
}

// record is the membership as audit records tell it.
func (m Membership) record() audit.Details {
	return audit.Details{Membership: &audit.MembershipProperties{GroupID: m.GroupID, MemberID: m.MemberID}}
}
