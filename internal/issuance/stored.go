package issuance

import (
	"time"

	"coffer/internal/pki"
)

// StoredPolicy is a Policy as rows and backups hold it, in JSON. The member names
// are the format: none is ever renamed or used for something else, and a new one is
// right at its zero value for what was stored without it.
type StoredPolicy struct {
	Key            storedKey       `json:"Key"`
	ContentType    string          `json:"ContentType"`
	X509           storedX509      `json:"X509"`
	Actions        []storedAction  `json:"Actions"`
	Issuer         StoredIssuer    `json:"Issuer"`
	Enabled        bool            `json:"Enabled"`
	Created        time.Time       `json:"Created"`
	Updated        time.Time       `json:"Updated"`
	PlatformManage *storedPlatform `json:"PlatformManage,omitempty"`
}

type storedKey struct {
	Type       string    `json:"Type"`
	Size       int       `json:"Size"`
	Curve      pki.Curve `json:"Curve"`
	Exportable bool      `json:"Exportable"`
	Reuse      bool      `json:"Reuse"`
}

type storedX509 struct {
	Subject        string      `json:"Subject"`
	SANs           *storedSANs `json:"SANs"`
	EKUs           []string    `json:"EKUs"`
	KeyUsage       []string    `json:"KeyUsage"`
	ValidityMonths int         `json:"ValidityMonths"`
	CA             bool        `json:"CA"`
	PathLen        *int        `json:"PathLen"`
}

type storedSANs struct {
	Emails      []string `json:"Emails"`
	DNSNames    []string `json:"DNSNames"`
	UPNs        []string `json:"UPNs"`
	URIs        []string `json:"URIs"`
	IPAddresses []string `json:"IPAddresses"`
}

type storedAction struct {
	Percentage int        `json:"Percentage"`
	Days       int        `json:"Days"`
	Action     ActionType `json:"Action"`
}

// StoredIssuer is an IssuerRef as rows and backups hold it.
type StoredIssuer struct {
	Name            string  `json:"Name"`
	CertificateType *string `json:"CertificateType"`
	Transparency    *bool   `json:"Transparency"`
}

type storedPlatform struct {
	CertificateUsage string `json:"CertificateUsage"`
	Metadata         string `json:"Metadata"`
}

// Stored is the form to store; nil of nil.
func (p *Policy) Stored() *StoredPolicy {
	if p == nil {
		return nil
	}
	s := &StoredPolicy{
		Key: storedKey(p.Key), ContentType: p.ContentType,
		X509: storedX509{p.X509.Subject, (*storedSANs)(p.X509.SANs), p.X509.EKUs, p.X509.KeyUsage,
			p.X509.ValidityMonths, p.X509.CA, p.X509.PathLen},
		Issuer: StoredIssuer(p.Issuer), Enabled: p.Enabled, Created: p.Created, Updated: p.Updated,
		PlatformManage: (*storedPlatform)(p.PlatformManage),
	}
	if p.Actions != nil {
		s.Actions = make([]storedAction, len(p.Actions))
	}
	for i, a := range p.Actions {
		s.Actions[i] = storedAction(a)
	}
	return s
}

// Policy is what was stored; nil of nil. The two share what they point to.
func (s *StoredPolicy) Policy() *Policy {
	if s == nil {
		return nil
	}
	p := &Policy{
		Key: KeyProps(s.Key), ContentType: s.ContentType,
		X509: X509Props{s.X509.Subject, (*SANs)(s.X509.SANs), s.X509.EKUs, s.X509.KeyUsage,
			s.X509.ValidityMonths, s.X509.CA, s.X509.PathLen},
		Issuer: IssuerRef(s.Issuer), Enabled: s.Enabled, Created: s.Created, Updated: s.Updated,
		PlatformManage: (*PlatformManaged)(s.PlatformManage),
	}
	if s.Actions != nil {
		p.Actions = make([]LifetimeAction, len(s.Actions))
	}
	for i, a := range s.Actions {
		p.Actions[i] = LifetimeAction(a)
	}
	return p
}
