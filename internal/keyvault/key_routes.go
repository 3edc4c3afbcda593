package keyvault

import (
	"context"
	"fmt"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
)

// keyRoutes are those of contract keys.md, 1.1.
func (s *Server) keyRoutes() []pipeline.Route {
	const family = object.Keys
	rules := s.cfg.Keys
	get := keptVersion(s, access.KeyGet, family, rules.Get, func(b *key.Bundle) object.Version { return b.Version.Version }, renderKey)
	update := onVersion(access.KeyUpdate, family, parseKeyUpdate, rules.Update, renderKey)
	routes := []pipeline.Route{
		pipeline.NewRoute("/keys",
			on(http.MethodGet, listing(s, access.KeyList, paged(rules.List), keyLine, keyAfter))),
		pipeline.NewRoute("/keys/{name}",
			on(http.MethodGet, get),
			on(http.MethodPut, pipeline.WithBody(access.KeyImport, parseKeyImport, rules.Import, renderKey)),
			on(http.MethodPatch, update),
			on(http.MethodDelete, pipeline.Bare(access.KeyDelete, rules.Delete, renderDeletedKey))),
		pipeline.NewRoute("/keys/{name}/{version}",
			on(http.MethodGet, get),
			on(http.MethodPatch, update)),
		pipeline.NewRoute("/keys/{name}/versions",
			on(http.MethodGet, listing(s, access.KeyListVersions, withHead(rules.ListVersions), keyVersionLine, keyVersionAfter))).Closed(),
		pipeline.NewRoute("/keys/{name}/create",
			on(http.MethodPost, pipeline.WithBody(access.KeyCreate, parseKeyCreate, rules.Create, renderKey).MakesKey())),
		pipeline.NewRoute("/keys/{name}/backup",
			on(http.MethodPost, pipeline.Bare(access.KeyBackup, rules.Backup, renderBackup))),
		pipeline.NewRoute("/keys/{name}/rotate",
			on(http.MethodPost, pipeline.Bare(access.KeyRotate, rules.Rotate, renderKey).MakesKey())),
		pipeline.NewRoute("/keys/{name}/rotationpolicy",
			on(http.MethodGet, pipeline.Bare(access.KeyRotationPolicyGet, s.rotationPolicy, renderRotationPolicy)),
			on(http.MethodPut, pipeline.WithBody(access.KeyRotationPolicySet, parseRotationPolicy, s.setRotationPolicy, renderRotationPolicy))).Closed(),
		pipeline.NewRoute("/keys/restore",
			s.restoring(restore(access.KeyRestore, rules.OpenBackup, rules.Restore, renderKey))),

		pipeline.NewRoute("/deletedkeys",
			on(http.MethodGet, listing(s, access.KeyListDeleted, paged(rules.ListDeleted), deletedKeyLine, keyAfter))),
		pipeline.NewRoute("/deletedkeys/{name}",
			on(http.MethodGet, pipeline.Bare(access.KeyGetDeleted, rules.GetDeleted, renderDeletedKey)),
			on(http.MethodDelete, pipeline.Bare(access.KeyPurge, silent(rules.Purge), renderNothing))),
		pipeline.NewRoute("/deletedkeys/{name}/recover",
			on(http.MethodPost, pipeline.Bare(access.KeyRecover, rules.Recover, renderKey))),
		pipeline.NewRoute("/rng",
			on(http.MethodPost, pipeline.WithBody(access.KeyGetRandomBytes, parseCount, rules.RandomBytes, renderRandom))),
	}
	release := func(ctx context.Context, g access.Grant, v object.Version, _ pipeline.None) (pipeline.None, error) {
		return pipeline.None{}, rules.Release(ctx, g, v) // it refuses: no key here can be released (contract keys.md, 9.12)
	}
	for _, use := range []struct {
		word     string
		method   string
		endpoint pipeline.Endpoint
	}{
		{"encrypt", http.MethodPost, using(access.KeyEncrypt, key.Encrypt, rules.Encrypt, renderUsed)},
		{"decrypt", http.MethodPost, using(access.KeyDecrypt, key.Decrypt, rules.Decrypt, renderUsed)},
		{"sign", http.MethodPost, using(access.KeySign, key.Sign, rules.Sign, renderUsed)},
		{"verify", http.MethodPost, using(access.KeyVerify, key.Verify, rules.Verify, renderVerified)},
		{"wrapkey", http.MethodPost, using(access.KeyWrap, key.WrapKey, rules.Encrypt, renderUsed)},
		{"unwrapkey", http.MethodPost, using(access.KeyUnwrap, key.UnwrapKey, rules.Decrypt, renderUsed)},
		{"release", http.MethodPost, onVersion(access.KeyRelease, family, parseRelease, release, renderNothing)},
		{"attestation", http.MethodGet, ofVersion(access.KeyGetAttestation, family, s.attest, renderNothing)},
		{"securewrapkey", http.MethodPost, unsupported(access.KeySecureWrap, "secureWrapKey")},
		{"secureunwrapkey", http.MethodPost, unsupported(access.KeySecureUnwrap, "secureUnwrapKey")},
	} {
		routes = append(routes,
			pipeline.NewRoute("/keys/{name}/"+use.word, on(use.method, use.endpoint)),
			pipeline.NewRoute("/keys/{name}/{version}/"+use.word, on(use.method, use.endpoint)))
	}
	return routes
}

// using makes the endpoint of a cryptographic operation.
func using[R any](a access.Action, op key.Op, rule func(context.Context, access.Grant, object.Version, key.UseParams) (R, error),
	render func(pipeline.Request, R) rest.Reply) pipeline.Endpoint {
	parse := func(r pipeline.Request, in *rest.Input) key.UseParams { return parseUse(r, in, op) }
	return onVersion(a, object.Keys, parse, rule, render)
}

// attest is of keys in an HSM; of one that is not there it says so first (contract
// keys.md, 9.14).
func (s *Server) attest(ctx context.Context, g access.Grant, v object.Version) (pipeline.None, error) {
	if _, err := s.cfg.Keys.Get(ctx, g, v); err != nil {
		return pipeline.None{}, err
	}
	return pipeline.None{}, notEnabled("attestation")
}

// unsupported makes the endpoint of what the vault does not do at all.
func unsupported(a access.Action, op string) pipeline.Endpoint {
	return pipeline.Bare(a, func(context.Context, access.Grant) (pipeline.None, error) { return pipeline.None{}, notEnabled(op) }, renderNothing)
}

func notEnabled(op string) error {
	return &fault.Error{Kind: fault.Unsupported, Msg: fmt.Sprintf("Operation %q is not enabled for this vault.", op)}
}

func keyAfter(l key.Listed) string { return l.Head.Name.Key() }

func keyVersionAfter(v headed[*key.Version]) string { return string(v.version.Version) }

func (s *Server) rotationPolicy(ctx context.Context, g access.Grant) (rotation, error) {
	p, h, err := s.cfg.Keys.RotationPolicy(ctx, g)
	return rotation{p, h}, err
}

func (s *Server) setRotationPolicy(ctx context.Context, g access.Grant, params key.PolicyParams) (rotation, error) {
	p, h, err := s.cfg.Keys.SetRotationPolicy(ctx, g, params)
	return rotation{p, h}, err
}
