package keyvault

import (
	"context"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
)

// on is one method of a route.
func on(verb string, e pipeline.Endpoint) pipeline.Method { return pipeline.Method{Verb: verb, Do: e} }

// silent makes a rule for an endpoint of one that has nothing to show.
func silent(rule func(context.Context, access.Grant) error) func(context.Context, access.Grant) (pipeline.None, error) {
	return func(ctx context.Context, g access.Grant) (pipeline.None, error) { return pipeline.None{}, rule(ctx, g) }
}

// certificateRoutes are the 27 operations of contract certificates.md, 4.
func (s *Server) certificateRoutes() []pipeline.Route {
	const family = object.Certificates
	rules := s.cfg.Certificates
	get := keptVersion(s, access.CertificateGet, family, rules.Get, func(b *certificate.Bundle) object.Version { return b.Version.Version }, renderRead)
	update := onVersion(access.CertificateUpdate, family, parseUpdate, rules.Update, renderBundle)
	return []pipeline.Route{
		pipeline.NewRoute("/certificates",
			on(http.MethodGet, s.listCertificates(access.CertificateList, false))),
		pipeline.NewRoute("/certificates/{name}",
			on(http.MethodGet, get),
			on(http.MethodPatch, update),
			on(http.MethodDelete, pipeline.Bare(access.CertificateDelete, rules.Delete, renderDeleted))),
		pipeline.NewRoute("/certificates/{name}/{version}",
			on(http.MethodGet, get),
			on(http.MethodPatch, update)),
		pipeline.NewRoute("/certificates/{name}/versions",
			on(http.MethodGet, s.listCertificateVersions())).Closed(),
		pipeline.NewRoute("/certificates/{name}/create",
			on(http.MethodPost, pipeline.WithBody(access.CertificateCreate, parseCreate, rules.Create, renderCreated).MakesKey())),
		pipeline.NewRoute("/certificates/{name}/import",
			on(http.MethodPost, pipeline.WithBody(access.CertificateImport, parseImport, rules.Import, renderBundle).Heavy())),
		pipeline.NewRoute("/certificates/{name}/backup",
			on(http.MethodPost, pipeline.Bare(access.CertificateBackup, rules.Backup, renderBackup))),
		pipeline.NewRoute("/certificates/{name}/policy",
			on(http.MethodGet, pipeline.Bare(access.CertificatePolicyGet, rules.Policy, renderPolicy)),
			on(http.MethodPatch, pipeline.WithBody(access.CertificatePolicyUpdate, parsePolicyBody, rules.UpdatePolicy, renderPolicy))).Closed(),
		pipeline.NewRoute("/certificates/{name}/pending",
			on(http.MethodGet, pipeline.WithoutBody(access.CertificatePendingGet, requestID, rules.Operation, renderPolled)),
			on(http.MethodPatch, pipeline.WithBody(access.CertificatePendingUpdate, parseCancellation, s.cancelOperation, renderOperation)),
			on(http.MethodDelete, pipeline.WithoutBody(access.CertificatePendingDelete, requestID, rules.DeleteOperation, renderOperation))).Closed(),
		pipeline.NewRoute("/certificates/{name}/pending/merge",
			on(http.MethodPost, pipeline.WithBody(access.CertificatePendingMerge, parseMerge, rules.Merge, renderMerged).Heavy())),

		pipeline.NewRoute("/certificates/restore",
			s.restoring(restore(access.CertificateRestore, rules.OpenBackup, rules.Restore, renderBundle))).Closed(),
		pipeline.NewRoute("/certificates/contacts",
			on(http.MethodGet, pipeline.Bare(access.CertificateContactsGet, rules.Contacts, renderContacts)),
			on(http.MethodPut, pipeline.WithBody(access.CertificateContactsSet, parseContacts, s.setContacts, renderContacts)),
			on(http.MethodDelete, pipeline.Bare(access.CertificateContactsDelete, rules.DeleteContacts, renderContacts))).Closed(),
		pipeline.NewRoute("/certificates/issuers",
			on(http.MethodGet, s.listIssuers())).Closed(),
		pipeline.NewRoute("/certificates/issuers/{issuer}",
			on(http.MethodGet, pipeline.WithoutBody(access.CertificateIssuerGet, pipeline.Request.Name, rules.Issuer, renderIssuer)),
			on(http.MethodPut, changeIssuer(access.CertificateIssuerSet, parseNewIssuer, rules.SetIssuer)),
			on(http.MethodPatch, changeIssuer(access.CertificateIssuerUpdate, parseIssuer, rules.UpdateIssuer)),
			on(http.MethodDelete, pipeline.WithoutBody(access.CertificateIssuerDelete, pipeline.Request.Name, rules.DeleteIssuer, renderIssuer))).Closed(),

		pipeline.NewRoute("/deletedcertificates",
			on(http.MethodGet, s.listCertificates(access.CertificateListDeleted, true))),
		pipeline.NewRoute("/deletedcertificates/{name}",
			on(http.MethodGet, pipeline.Bare(access.CertificateGetDeleted, rules.GetDeleted, renderDeleted)),
			on(http.MethodDelete, pipeline.Bare(access.CertificatePurge, silent(rules.Purge), renderNothing))),
		pipeline.NewRoute("/deletedcertificates/{name}/recover",
			on(http.MethodPost, pipeline.Bare(access.CertificateRecover, rules.Recover, renderBundle))),
	}
}

func (s *Server) cancelOperation(ctx context.Context, g access.Grant, p cancellation) (*issuance.Operation, error) {
	return s.cfg.Certificates.CancelOperation(ctx, g, p.requestID, p.requested)
}

// changeIssuer is PUT or PATCH of an issuer.
func changeIssuer(a access.Action, parse func(pipeline.Request, *rest.Input) certificate.IssuerParams,
	rule func(context.Context, access.Grant, object.Name, certificate.IssuerParams) (*certificate.Issuer, error)) pipeline.Endpoint {
	return pipeline.WithBody(a, parse, func(ctx context.Context, g access.Grant, p certificate.IssuerParams) (*certificate.Issuer, error) {
		return rule(ctx, g, g.Name(), p)
	}, renderIssuer)
}

func (s *Server) listCertificates(a access.Action, deleted bool) pipeline.Endpoint {
	rule := func(ctx context.Context, g access.Grant, p position) ([]certificate.Listed, bool, error) {
		return s.cfg.Certificates.List(ctx, g, certificate.ListQuery{Page: p.page, Deleted: deleted, Pending: p.pending})
	}
	after := func(l certificate.Listed) string { return l.Head.Name.Key() }
	if deleted {
		return listing(s, a, rule, deletedCertificateLine, after)
	}
	return listing(s, a, rule, certificateLine, after)
}

func (s *Server) listCertificateVersions() pipeline.Endpoint {
	return listing(s, access.CertificateListVersions, func(ctx context.Context, g access.Grant, p position) ([]*certificate.Version, bool, error) {
		return s.cfg.Certificates.ListVersions(ctx, g, p.page)
	}, certificateVersionLine, func(v *certificate.Version) string { return string(v.Version) })
}

func (s *Server) listIssuers() pipeline.Endpoint {
	return listing(s, access.CertificateIssuersList, func(ctx context.Context, g access.Grant, p position) ([]*certificate.Issuer, bool, error) {
		return s.cfg.Certificates.Issuers(ctx, g, p.page)
	}, issuerLine, func(i *certificate.Issuer) string { return i.Name.Key() })
}
