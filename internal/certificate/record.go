package certificate

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/fips"
	"coffer/internal/issuance"
	"coffer/internal/pki"
)

// What the audit record of an operation says beside who, what and when, made from
// named fields once the operation has succeeded (contract observability.md, 1.2).
// Nothing here has room for a secret.

// describe says which certificate was made or changed.
func describe(g access.Grant, v *Version) {
	g.Attempt().ObjectVersion(v.Version)
	if !v.Completed {
		return
	}
	leaf, err := pki.ParseCertificate(v.Leaf)
	if err != nil {
		return // it was parsed when it came in; the record is complete without
	}
	byName, byContent := fips.NameSHA1(v.Leaf), sha256.Sum256(v.Leaf)
	g.Attempt().Describe(audit.Details{Certificate: &audit.CertificateProperties{
		Subject: leaf.Subject(), SHA1: hex.EncodeToString(byName[:]), SHA256: hex.EncodeToString(byContent[:]),
		NBF: leaf.NotBefore.Unix(), EXP: leaf.NotAfter.Unix(), Enabled: v.Attributes.Enabled,
	}})
}

// differenceProperties says how a certificate differs from what its policy ordered;
// nil: it does not.
func differenceProperties(d issuance.Differences) *audit.DifferenceProperties {
	if len(d.Refused)+len(d.Wider)+len(d.Narrower) == 0 {
		return nil
	}
	return &audit.DifferenceProperties{Wider: slices.Concat(d.Refused, d.Wider), Narrower: d.Narrower}
}

func describePolicy(g access.Grant, p *issuance.Policy) {
	g.Attempt().Describe(audit.Details{Policy: policyProperties(p)})
}

// describeFirstPolicy also puts the policy that a create or import came with on record
// as an operation of its own.
func describeFirstPolicy(g access.Grant, p *issuance.Policy, given bool) {
	describePolicy(g, p)
	if given {
		g.Attempt().Also("CertificatePolicySet", audit.Details{Policy: policyProperties(p)})
	}
}

func policyProperties(p *issuance.Policy) *audit.PolicyProperties {
	out := &audit.PolicyProperties{
		Key:        &audit.KeyProperties{Type: p.Key.Type, Size: p.Key.Size, Curve: string(p.Key.Curve)},
		Exportable: &p.Key.Exportable, ReuseKey: &p.Key.Reuse,
		Subject: p.X509.Subject, EKUs: p.X509.EKUs, KeyUsage: p.X509.KeyUsage,
		ValidityMonths: p.X509.ValidityMonths, Issuer: p.Issuer.Name,
	}
	if s := p.X509.SANs; s != nil {
		out.DNSNames, out.Emails, out.UPNs = s.DNSNames, s.Emails, s.UPNs
	}
	return out
}

func describeOperation(g access.Grant, op *issuance.Operation) {
	g.Attempt().Describe(audit.Details{Request: &audit.RequestProperties{
		Status: string(op.Status), RequestID: op.RequestID, CancellationRequested: op.CancellationRequested,
	}})
}

func describeIssuer(g access.Grant, i *Issuer) {
	p := &audit.IssuerProperties{Provider: i.Provider}
	if i.OrganizationID != nil {
		p.OrganizationID = *i.OrganizationID
	}
	g.Attempt().Describe(audit.Details{Issuer: p})
}
