package keyvault

import (
	"context"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
)

// on is one method of a route whose operation has no body.
func on(verb string, a access.Action, h handler) routeMethod {
	return routeMethod{verb, endpoint{action: a, handle: h}}
}

// onBody is one method of a route whose operation reads a body.
func onBody(verb string, a access.Action, h handler) routeMethod {
	return routeMethod{verb, endpoint{action: a, body: true, handle: h}}
}

// certificateRoutes are the 27 operations of contract certificates.md, 4.
func (s *Server) certificateRoutes() []route {
	const family = object.Certificates
	rules := s.cfg.Certificates
	update := func(c *call, in *input) (reply, error) {
		return with(parseUpdate, func(ctx context.Context, g access.Grant, p certificate.UpdateParams) (*certificate.Bundle, error) {
			return rules.Update(ctx, g, c.pinned, p)
		}, renderUpdated)(c, in)
	}
	purge := func(ctx context.Context, g access.Grant) (none, error) { return none{}, rules.Purge(ctx, g) }
	return []route{
		newRoute(family, "/certificates",
			on(http.MethodGet, access.CertificateList, s.listCertificates(false))),
		newRoute(family, "/certificates/{name}",
			on(http.MethodGet, access.CertificateGet, with(pinnedVersion, rules.Get, s.renderRead)),
			onBody(http.MethodPatch, access.CertificateUpdate, update),
			on(http.MethodDelete, access.CertificateDelete, simple(rules.Delete, renderDeleted))),
		newRoute(family, "/certificates/{name}/{version}",
			on(http.MethodGet, access.CertificateGet, with(pinnedVersion, rules.Get, s.renderRead)),
			onBody(http.MethodPatch, access.CertificateUpdate, update)),
		newRoute(family, "/certificates/{name}/versions",
			on(http.MethodGet, access.CertificateListVersions, s.listCertificateVersions())).onlyOne(),
		newRoute(family, "/certificates/{name}/create",
			onBody(http.MethodPost, access.CertificateCreate, with(parseCreate, rules.Create, renderCreated))),
		newRoute(family, "/certificates/{name}/import",
			onBody(http.MethodPost, access.CertificateImport, with(parseImport, rules.Import, renderImported))),
		newRoute(family, "/certificates/{name}/backup",
			on(http.MethodPost, access.CertificateBackup, simple(rules.Backup, renderBackup))),
		newRoute(family, "/certificates/{name}/policy",
			on(http.MethodGet, access.CertificatePolicyGet, simple(rules.Policy, renderPolicy)),
			onBody(http.MethodPatch, access.CertificatePolicyUpdate, with(parsePolicyBody, rules.UpdatePolicy, renderPolicyUpdated))).onlyOne(),
		newRoute(family, "/certificates/{name}/pending",
			on(http.MethodGet, access.CertificatePendingGet, with(requestID, rules.Operation, renderPolled)),
			onBody(http.MethodPatch, access.CertificatePendingUpdate, with(parseCancellation, s.cancelOperation, renderOperation)),
			on(http.MethodDelete, access.CertificatePendingDelete, with(requestID, rules.DeleteOperation, renderOperation))).onlyOne(),
		newRoute(family, "/certificates/{name}/pending/merge",
			onBody(http.MethodPost, access.CertificatePendingMerge, with(parseMerge, rules.Merge, renderMerged))),

		newRoute(family, "/certificates/restore",
			restoring(access.CertificateRestore, rules.OpenBackup, rules.Restore, renderImported)).onlyOne(),
		newRoute(family, "/certificates/contacts",
			on(http.MethodGet, access.CertificateContactsGet, simple(rules.Contacts, renderContacts)),
			onBody(http.MethodPut, access.CertificateContactsSet, with(parseContacts, s.setContacts, renderContacts)),
			on(http.MethodDelete, access.CertificateContactsDelete, simple(rules.DeleteContacts, renderContacts))).onlyOne(),
		newRoute(family, "/certificates/issuers",
			on(http.MethodGet, access.CertificateIssuersList, s.listIssuers())).onlyOne(),
		newRoute(family, "/certificates/issuers/{issuer}",
			on(http.MethodGet, access.CertificateIssuerGet, with(issuerName, rules.Issuer, renderIssuer)),
			onBody(http.MethodPut, access.CertificateIssuerSet, s.changeIssuer(parseNewIssuer, rules.SetIssuer)),
			onBody(http.MethodPatch, access.CertificateIssuerUpdate, s.changeIssuer(parseIssuer, rules.UpdateIssuer)),
			on(http.MethodDelete, access.CertificateIssuerDelete, with(issuerName, rules.DeleteIssuer, renderIssuer))).onlyOne(),

		newRoute(family, "/deletedcertificates",
			on(http.MethodGet, access.CertificateListDeleted, s.listCertificates(true))),
		newRoute(family, "/deletedcertificates/{name}",
			on(http.MethodGet, access.CertificateGetDeleted, simple(rules.GetDeleted, renderDeleted)),
			on(http.MethodDelete, access.CertificatePurge, simple(purge, renderNothing))),
		newRoute(family, "/deletedcertificates/{name}/recover",
			on(http.MethodPost, access.CertificateRecover, simple(rules.Recover, renderBundle))),
	}
}

func (s *Server) cancelOperation(ctx context.Context, g access.Grant, p cancellation) (*issuance.Operation, error) {
	return s.cfg.Certificates.CancelOperation(ctx, g, p.requestID, p.requested)
}

// changeIssuer is PUT or PATCH of an issuer.
func (s *Server) changeIssuer(parse func(*call, *input) certificate.IssuerParams,
	rule func(context.Context, access.Grant, object.Name, certificate.IssuerParams) (*certificate.Issuer, error)) handler {
	return func(c *call, in *input) (reply, error) {
		return with(parse, func(ctx context.Context, g access.Grant, p certificate.IssuerParams) (*certificate.Issuer, error) {
			return rule(ctx, g, c.name, p)
		}, renderIssuerChanged)(c, in)
	}
}

func (s *Server) listCertificates(deleted bool) handler {
	rule := func(c *call, p position) ([]certificate.Listed, bool, error) {
		return s.cfg.Certificates.List(c.ctx, c.grant, certificate.ListQuery{Page: p.page, Deleted: deleted, Pending: p.pending})
	}
	after := func(l certificate.Listed) string { return l.Head.Name.Key() }
	if deleted {
		return listing(s, rule, deletedCertificateLine, after)
	}
	return listing(s, rule, certificateLine, after)
}

func (s *Server) listCertificateVersions() handler {
	return listing(s, func(c *call, p position) ([]*certificate.Version, bool, error) {
		return s.cfg.Certificates.ListVersions(c.ctx, c.grant, p.page)
	}, certificateVersionLine, func(v *certificate.Version) string { return string(v.Version) })
}

func (s *Server) listIssuers() handler {
	return listing(s, func(c *call, p position) ([]*certificate.Issuer, bool, error) {
		return s.cfg.Certificates.Issuers(c.ctx, c.grant, p.page)
	}, issuerLine, func(i *certificate.Issuer) string { return i.Name.Key() })
}
