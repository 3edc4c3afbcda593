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

// refuser is what answers writes to managed objects.
type refuser interface {
	Refuse(ctx context.Context, g access.Grant, op string) error
}

// refused makes the handler of a write that only the certificate's own routes
// do. op is the word of the recorded message (contract certificates.md, 7.2).
func refused(r refuser, op string) handler {
	return func(c *call, _ *input) (reply, error) {
		if err := r.Refuse(c.ctx, c.grant, op); err != nil {
			return reply{}, err
		}
		return reply{}, fmt.Errorf("%s of %s was not refused", op, c.name)
	}
}

// unsupported makes the handler of what the vault does not do at all.
func unsupported(op string) handler {
	return func(*call, *input) (reply, error) {
		return reply{}, &fault.Error{Kind: fault.Unsupported, Msg: fmt.Sprintf("Operation %q is not enabled for this vault.", op)}
	}
}

// noDeleted answers for the deleted collections of keys and secrets: those of
// certificates go and come back with them and are listed with them only
// (contract secrets.md, 9.7).
func noDeleted(word string) handler {
	return func(c *call, _ *input) (reply, error) {
		return reply{}, &fault.Error{Kind: fault.NotFound, Subject: familyWords[c.route.family].subject,
			Msg: "Deleted " + word + " not found: " + c.name.String()}
	}
}

// emptyList is a list that never has an item.
func (s *Server) emptyList() handler {
	return listing(s, func(*call, position) ([]none, bool, error) { return nil, false, nil },
		func(*call, none) none { return none{} }, func(none) string { return "" })
}

// keyRoutes are those of contract keys.md, 1.1. Keys are written by certificates
// and used through their secrets; the writes are routed so that they are refused
// in the service's words, to those who may write and to nobody else.
func (s *Server) keyRoutes() []route {
	const family = object.Keys
	rules := s.cfg.Keys
	get := func(c *call, in *input) (reply, error) {
		return simple(func(ctx context.Context, g access.Grant) (keyBundle, error) { return s.readKey(ctx, c, g) },
			func(_ *call, b keyBundle) reply { return ok(b) })(c, in)
	}
	routes := []route{
		newRoute(family, "/keys",
			on(http.MethodGet, access.KeyList, s.listKeys())),
		newRoute(family, "/keys/{name}",
			on(http.MethodGet, access.KeyGet, get),
			on(http.MethodPut, access.KeyImport, refused(rules, "import")),
			on(http.MethodPatch, access.KeyUpdate, refused(rules, "update")),
			on(http.MethodDelete, access.KeyDelete, refused(rules, "delete"))),
		newRoute(family, "/keys/{name}/{version}",
			on(http.MethodGet, access.KeyGet, get),
			on(http.MethodPatch, access.KeyUpdate, refused(rules, "update"))),
		newRoute(family, "/keys/{name}/versions",
			on(http.MethodGet, access.KeyListVersions, s.listKeyVersions())).onlyOne(),
		newRoute(family, "/keys/{name}/create",
			on(http.MethodPost, access.KeyCreate, refused(rules, "create"))),
		newRoute(family, "/keys/{name}/backup",
			on(http.MethodPost, access.KeyBackup, refused(rules, "backup"))),
		newRoute(family, "/keys/{name}/rotate",
			on(http.MethodPost, access.KeyRotate, refused(rules, "rotate"))),
		newRoute(family, "/keys/{name}/rotationpolicy",
			on(http.MethodGet, access.KeyRotationPolicyGet, unsupported("getrotationpolicy")),
			on(http.MethodPut, access.KeyRotationPolicySet, refused(rules, "setrotationpolicy"))).onlyOne(),
		newRoute(family, "/keys/restore",
			on(http.MethodPost, access.KeyRestore, unsupported("restore"))),
		newRoute(family, "/deletedkeys",
			on(http.MethodGet, access.KeyListDeleted, s.emptyList())),
		newRoute(family, "/deletedkeys/{name}",
			on(http.MethodGet, access.KeyGetDeleted, noDeleted("Key")),
			on(http.MethodDelete, access.KeyPurge, refused(rules, "purge"))),
		newRoute(family, "/deletedkeys/{name}/recover",
			on(http.MethodPost, access.KeyRecover, refused(rules, "recover"))),
		newRoute(family, "/rng",
			on(http.MethodPost, access.KeyGetRandomBytes, unsupported("rng"))),
	}
	for _, use := range []struct {
		verb, word, op string
		action         access.Action
	}{
		{http.MethodPost, "encrypt", "encrypt", access.KeyEncrypt},
		{http.MethodPost, "decrypt", "decrypt", access.KeyDecrypt},
		{http.MethodPost, "sign", "sign", access.KeySign},
		{http.MethodPost, "verify", "verify", access.KeyVerify},
		{http.MethodPost, "wrapkey", "wrapKey", access.KeyWrap},
		{http.MethodPost, "unwrapkey", "unwrapKey", access.KeyUnwrap},
		{http.MethodPost, "securewrapkey", "secureWrapKey", access.KeySecureWrap},
		{http.MethodPost, "secureunwrapkey", "secureUnwrapKey", access.KeySecureUnwrap},
		{http.MethodPost, "release", "release", access.KeyRelease},
		{http.MethodGet, "attestation", "attestation", access.KeyGetAttestation},
	} {
		m := on(use.verb, use.action, unsupported(use.op))
		routes = append(routes,
			newRoute(family, "/keys/{name}/"+use.word, m),
			newRoute(family, "/keys/{name}/{version}/"+use.word, m))
	}
	return routes
}

func (s *Server) listKeys() handler {
	return listing(s, func(c *call, p position) ([]key.Listed, bool, error) {
		return s.cfg.Keys.List(c.ctx, c.grant, p.page)
	}, keyLine, func(l key.Listed) string { return l.Head.Name.Key() })
}

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
