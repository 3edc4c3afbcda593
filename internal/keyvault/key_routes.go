package keyvault

import (
	"context"
	"fmt"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
)

// keyRoutes are those of contract keys.md, 1.1.
func (s *Server) keyRoutes() []route {
	const family = object.Keys
	rules := s.cfg.Keys
	update := func(c *call, in *input) (reply, error) {
		return with(parseKeyUpdate, func(ctx context.Context, g access.Grant, p key.UpdateParams) (*key.Bundle, error) {
			return rules.Update(ctx, g, c.pinned, p)
		}, renderKey)(c, in)
	}
	purge := func(ctx context.Context, g access.Grant) (none, error) { return none{}, rules.Purge(ctx, g) }
	routes := []route{
		newRoute(family, "/keys",
			on(http.MethodGet, access.KeyList, listing(s, s.listKeys, keyLine, keyAfter))),
		newRoute(family, "/keys/{name}",
			on(http.MethodGet, access.KeyGet, with(pinnedVersion, rules.Get, renderKey)),
			onBody(http.MethodPut, access.KeyImport, with(parseKeyImport, rules.Import, renderNewKey)),
			onBody(http.MethodPatch, access.KeyUpdate, update),
			on(http.MethodDelete, access.KeyDelete, simple(rules.Delete, renderDeletedKey))),
		newRoute(family, "/keys/{name}/{version}",
			on(http.MethodGet, access.KeyGet, with(pinnedVersion, rules.Get, renderKey)),
			onBody(http.MethodPatch, access.KeyUpdate, update)),
		newRoute(family, "/keys/{name}/versions",
			on(http.MethodGet, access.KeyListVersions, s.listKeyVersions())).onlyOne(),
		newRoute(family, "/keys/{name}/create",
			onBody(http.MethodPost, access.KeyCreate, with(parseKeyCreate, rules.Create, renderNewKey))),
		newRoute(family, "/keys/{name}/backup",
			on(http.MethodPost, access.KeyBackup, simple(rules.Backup, renderBackup))),
		newRoute(family, "/keys/{name}/rotate",
			on(http.MethodPost, access.KeyRotate, simple(rules.Rotate, renderNewKey))),
		newRoute(family, "/keys/{name}/rotationpolicy",
			on(http.MethodGet, access.KeyRotationPolicyGet, simple(s.rotationPolicy, renderRotationPolicy)),
			onBody(http.MethodPut, access.KeyRotationPolicySet, with(parseRotationPolicy, s.setRotationPolicy, renderRotationPolicy))).onlyOne(),
		newRoute(family, "/keys/restore",
			restoring(access.KeyRestore, rules.OpenBackup, rules.Restore, renderNewKey)),

		newRoute(family, "/deletedkeys",
			on(http.MethodGet, access.KeyListDeleted, listing(s, s.listDeletedKeys, deletedKeyLine, keyAfter))),
		newRoute(family, "/deletedkeys/{name}",
			on(http.MethodGet, access.KeyGetDeleted, simple(rules.GetDeleted, renderDeletedKey)),
			on(http.MethodDelete, access.KeyPurge, simple(purge, renderNothing))),
		newRoute(family, "/deletedkeys/{name}/recover",
			on(http.MethodPost, access.KeyRecover, simple(rules.Recover, renderKey))),
		newRoute(family, "/rng",
			onBody(http.MethodPost, access.KeyGetRandomBytes, with(parseCount, rules.RandomBytes, renderRandom))),
	}
	for _, use := range []struct {
		word   string
		method routeMethod
	}{
		{"encrypt", onBody(http.MethodPost, access.KeyEncrypt, using(key.Encrypt, rules.Encrypt, renderUsed))},
		{"decrypt", onBody(http.MethodPost, access.KeyDecrypt, using(key.Decrypt, rules.Decrypt, renderUsed))},
		{"sign", onBody(http.MethodPost, access.KeySign, using(key.Sign, rules.Sign, renderUsed))},
		{"verify", onBody(http.MethodPost, access.KeyVerify, using(key.Verify, rules.Verify, renderVerified))},
		{"wrapkey", onBody(http.MethodPost, access.KeyWrap, using(key.WrapKey, rules.Encrypt, renderUsed))},
		{"unwrapkey", onBody(http.MethodPost, access.KeyUnwrap, using(key.UnwrapKey, rules.Decrypt, renderUsed))},
		{"release", onBody(http.MethodPost, access.KeyRelease, s.release())},
		{"attestation", on(http.MethodGet, access.KeyGetAttestation, s.attestation())},
		{"securewrapkey", on(http.MethodPost, access.KeySecureWrap, unsupported("secureWrapKey"))},
		{"secureunwrapkey", on(http.MethodPost, access.KeySecureUnwrap, unsupported("secureUnwrapKey"))},
	} {
		routes = append(routes,
			newRoute(family, "/keys/{name}/"+use.word, use.method),
			newRoute(family, "/keys/{name}/{version}/"+use.word, use.method))
	}
	return routes
}

// using makes the handler of a cryptographic operation.
func using[R any](op key.Op, rule func(context.Context, access.Grant, object.Version, key.UseParams) (R, error),
	render func(*call, R) reply) handler {
	return func(c *call, in *input) (reply, error) {
		parse := func(c *call, in *input) key.UseParams { return parseUse(c, in, op) }
		return with(parse, func(ctx context.Context, g access.Grant, p key.UseParams) (R, error) {
			return rule(ctx, g, c.pinned, p)
		}, render)(c, in)
	}
}

// release refuses: no key here can be released (contract keys.md, 9.12).
func (s *Server) release() handler {
	return func(c *call, in *input) (reply, error) {
		return with(parseRelease, func(ctx context.Context, g access.Grant, _ none) (none, error) {
			return none{}, s.cfg.Keys.Release(ctx, g, c.pinned)
		}, renderNothing)(c, in)
	}
}

// attestation is of keys in an HSM; of one that is not there it says so first
// (contract keys.md, 9.14).
func (s *Server) attestation() handler {
	return with(pinnedVersion, func(ctx context.Context, g access.Grant, ver object.Version) (none, error) {
		if _, err := s.cfg.Keys.Get(ctx, g, ver); err != nil {
			return none{}, err
		}
		return none{}, notEnabled("attestation")
	}, renderNothing)
}

// unsupported makes the handler of what the vault does not do at all.
func unsupported(op string) handler {
	return func(*call, *input) (reply, error) { return reply{}, notEnabled(op) }
}

func notEnabled(op string) error {
	return &fault.Error{Kind: fault.Unsupported, Msg: fmt.Sprintf("Operation %q is not enabled for this vault.", op)}
}

func (s *Server) listKeys(c *call, p position) ([]key.Listed, bool, error) {
	return s.cfg.Keys.List(c.ctx, c.grant, p.page)
}

func (s *Server) listDeletedKeys(c *call, p position) ([]key.Listed, bool, error) {
	return s.cfg.Keys.ListDeleted(c.ctx, c.grant, p.page)
}

func keyAfter(l key.Listed) string { return l.Head.Name.Key() }

func (s *Server) listKeyVersions() handler {
	return listing(s, func(c *call, p position) ([]keyVersion, bool, error) {
		vs, h, more, err := s.cfg.Keys.ListVersions(c.ctx, c.grant, p.page)
		out := make([]keyVersion, len(vs))
		for i, v := range vs {
			out[i] = keyVersion{v, h}
		}
		return out, more, err
	}, keyVersionLine, func(v keyVersion) string { return string(v.version.Version) })
}

func (s *Server) rotationPolicy(ctx context.Context, g access.Grant) (rotation, error) {
	p, h, err := s.cfg.Keys.RotationPolicy(ctx, g)
	return rotation{p, h}, err
}

func (s *Server) setRotationPolicy(ctx context.Context, g access.Grant, params key.PolicyParams) (rotation, error) {
	p, h, err := s.cfg.Keys.SetRotationPolicy(ctx, g, params)
	return rotation{p, h}, err
}
