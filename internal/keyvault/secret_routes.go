package keyvault

import (
	"context"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/secret"
)

// secretRoutes are those of contract secrets.md, 1.
func (s *Server) secretRoutes() []route {
	const family = object.Secrets
	rules := s.cfg.Secrets
	get := func(c *call, in *input) (reply, error) {
		return with(outContentType, func(ctx context.Context, g access.Grant, form string) (*secret.Bundle, error) {
			return rules.Get(ctx, g, c.pinned, form)
		}, renderSecretValue)(c, in)
	}
	update := func(c *call, in *input) (reply, error) {
		return with(parseSecretChange, func(ctx context.Context, g access.Grant, p secret.Change) (*secret.Bundle, error) {
			return rules.Update(ctx, g, c.pinned, p)
		}, renderSecret)(c, in)
	}
	purge := func(ctx context.Context, g access.Grant) (none, error) { return none{}, rules.Purge(ctx, g) }
	return []route{
		newRoute(family, "/secrets",
			on(http.MethodGet, access.SecretList, listing(s, s.listSecrets, secretLine, secretAfter))),
		newRoute(family, "/secrets/{name}",
			on(http.MethodGet, access.SecretGet, get),
			onBody(http.MethodPut, access.SecretSet, with(parseSecret, rules.Set, renderSecretSet)),
			onBody(http.MethodPatch, access.SecretUpdate, update),
			on(http.MethodDelete, access.SecretDelete, simple(rules.Delete, renderDeletedSecret))),
		newRoute(family, "/secrets/{name}/{version}",
			on(http.MethodGet, access.SecretGet, get),
			onBody(http.MethodPatch, access.SecretUpdate, update)),
		newRoute(family, "/secrets/{name}/versions",
			on(http.MethodGet, access.SecretListVersions, s.listSecretVersions())).onlyOne(),
		newRoute(family, "/secrets/{name}/backup",
			on(http.MethodPost, access.SecretBackup, simple(rules.Backup, renderBackup))),
		newRoute(family, "/secrets/restore",
			restoring(access.SecretRestore, rules.OpenBackup, rules.Restore, renderSecret)),

		newRoute(family, "/deletedsecrets",
			on(http.MethodGet, access.SecretListDeleted, listing(s, s.listDeletedSecrets, deletedSecretLine, secretAfter))),
		newRoute(family, "/deletedsecrets/{name}",
			on(http.MethodGet, access.SecretGetDeleted, simple(rules.GetDeleted, renderDeletedSecret)),
			on(http.MethodDelete, access.SecretPurge, simple(purge, renderNothing))),
		newRoute(family, "/deletedsecrets/{name}/recover",
			on(http.MethodPost, access.SecretRecover, simple(rules.Recover, renderSecret))),
	}
}

func (s *Server) listSecrets(c *call, p position) ([]secret.Listed, bool, error) {
	return s.cfg.Secrets.List(c.ctx, c.grant, p.page)
}

func (s *Server) listDeletedSecrets(c *call, p position) ([]secret.Listed, bool, error) {
	return s.cfg.Secrets.ListDeleted(c.ctx, c.grant, p.page)
}

func secretAfter(l secret.Listed) string { return l.Head.Name.Key() }

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
