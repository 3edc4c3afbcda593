package keyvault

import (
	"context"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/secret"
)

// secretRoutes are those of contract secrets.md, 1. Secrets are written by
// certificates; what is said of keyRoutes holds here too.
func (s *Server) secretRoutes() []route {
	const family = object.Secrets
	rules := s.cfg.Secrets
	get := func(c *call, in *input) (reply, error) {
		return simple(func(ctx context.Context, g access.Grant) (secretBundle, error) { return s.readSecret(ctx, c, g) },
			renderSecret)(c, in)
	}
	return []route{
		newRoute(family, "/secrets",
			on(http.MethodGet, access.SecretList, s.listSecrets())),
		newRoute(family, "/secrets/{name}",
			on(http.MethodGet, access.SecretGet, get),
			on(http.MethodPut, access.SecretSet, refused(rules, "set")),
			on(http.MethodPatch, access.SecretUpdate, refused(rules, "update")),
			on(http.MethodDelete, access.SecretDelete, refused(rules, "delete"))),
		newRoute(family, "/secrets/{name}/{version}",
			on(http.MethodGet, access.SecretGet, get),
			on(http.MethodPatch, access.SecretUpdate, refused(rules, "update"))),
		newRoute(family, "/secrets/{name}/versions",
			on(http.MethodGet, access.SecretListVersions, s.listSecretVersions())).onlyOne(),
		newRoute(family, "/secrets/{name}/backup",
			on(http.MethodPost, access.SecretBackup, refused(rules, "backup"))),
		newRoute(family, "/secrets/restore",
			on(http.MethodPost, access.SecretRestore, unsupported("restore"))),
		newRoute(family, "/deletedsecrets",
			on(http.MethodGet, access.SecretListDeleted, s.emptyList())),
		newRoute(family, "/deletedsecrets/{name}",
			on(http.MethodGet, access.SecretGetDeleted, noDeleted("Secret")),
			on(http.MethodDelete, access.SecretPurge, refused(rules, "purge"))),
		newRoute(family, "/deletedsecrets/{name}/recover",
			on(http.MethodPost, access.SecretRecover, refused(rules, "recover"))),
	}
}

func (s *Server) listSecrets() handler {
	return listing(s, func(c *call, p position) ([]secret.Listed, bool, error) {
		return s.cfg.Secrets.List(c.ctx, c.grant, p.page)
	}, secretLine, func(l secret.Listed) string { return l.Head.Name.Key() })
}

func (s *Server) listSecretVersions() handler {
	return listing(s, func(c *call, p position) ([]secretVersion, bool, error) {
		vs, h, more, err := s.cfg.Secrets.ListVersions(c.ctx, c.grant, p.page)
		out := make([]secretVersion, len(vs))
		for i, v := range vs {
			out[i] = secretVersion{v, h}
		}
		return out, more, err
	}, secretVersionLine, func(v secretVersion) string { return string(v.version.Version) })
}
