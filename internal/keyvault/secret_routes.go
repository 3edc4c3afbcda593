package keyvault

import (
	"net/http"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/secret"
)

// secretRoutes are those of contract secrets.md, 1.
func (s *Server) secretRoutes() []pipeline.Route {
	const family = object.Secrets
	rules := s.cfg.Secrets
	get := pipeline.WithoutBody(access.SecretGet, func(r pipeline.Request) versioned[string] {
		return versioned[string]{pathVersion(r), outContentType(r)}
	}, atVersion(family, rules.Get), renderSecretValue)
	update := onVersion(access.SecretUpdate, family, parseSecretChange, rules.Update, renderSecret)
	return []pipeline.Route{
		pipeline.NewRoute("/secrets",
			on(http.MethodGet, listing(s, access.SecretList, paged(rules.List), secretLine, secretAfter))),
		pipeline.NewRoute("/secrets/{name}",
			on(http.MethodGet, get),
			on(http.MethodPut, pipeline.WithBody(access.SecretSet, parseSecret, rules.Set, renderSecretValue)),
			on(http.MethodPatch, update),
			on(http.MethodDelete, pipeline.Bare(access.SecretDelete, rules.Delete, renderDeletedSecret))),
		pipeline.NewRoute("/secrets/{name}/{version}",
			on(http.MethodGet, get),
			on(http.MethodPatch, update)),
		pipeline.NewRoute("/secrets/{name}/versions",
			on(http.MethodGet, listing(s, access.SecretListVersions, withHead(rules.ListVersions), secretVersionLine, secretVersionAfter))).Closed(),
		pipeline.NewRoute("/secrets/{name}/backup",
			on(http.MethodPost, pipeline.Bare(access.SecretBackup, rules.Backup, renderBackup))),
		pipeline.NewRoute("/secrets/restore",
			s.restoring(restore(access.SecretRestore, rules.OpenBackup, rules.Restore, renderSecret))),

		pipeline.NewRoute("/deletedsecrets",
			on(http.MethodGet, listing(s, access.SecretListDeleted, paged(rules.ListDeleted), deletedSecretLine, secretAfter))),
		pipeline.NewRoute("/deletedsecrets/{name}",
			on(http.MethodGet, pipeline.Bare(access.SecretGetDeleted, rules.GetDeleted, renderDeletedSecret)),
			on(http.MethodDelete, pipeline.Bare(access.SecretPurge, silent(rules.Purge), renderNothing))),
		pipeline.NewRoute("/deletedsecrets/{name}/recover",
			on(http.MethodPost, pipeline.Bare(access.SecretRecover, rules.Recover, renderSecret))),
	}
}

func secretAfter(l secret.Listed) string { return l.Head.Name.Key() }

func secretVersionAfter(v headed[*secret.Version]) string { return string(v.version.Version) }
