package keyvault

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
)

// The parameters of our routes.
const (
	nameParam    = "{name}"
	issuerParam  = "{issuer}"
	versionParam = "{version}"
)

// target reads the name in the path: of a certificate, key, secret or issuer.
func target(r pipeline.Request) (t access.Target, err error) {
	if text := cmp.Or(r.Param(nameParam), r.Param(issuerParam)); text != "" {
		if t.Name, err = object.ParseName(text); err != nil {
			return t, rest.BadName(text)
		}
	}
	return t, nil
}

// method is the request's method, or the one that a POST stands for (contract
// certificates.md, 2.4; errors.md, 6, for the second spelling).
func method(r *http.Request) string {
	if r.Method != http.MethodPost {
		return r.Method
	}
	for _, name := range []string{"X-Http-Method", "X-Http-Request"} {
		if v := r.Header.Get(name); v != "" {
			return strings.ToUpper(v)
		}
	}
	return r.Method
}

// pathVersion is the version in the path; "" for the current one. It may be none.
func pathVersion(r pipeline.Request) string { return r.Param(versionParam) }

// pinned tells whether the path has a version.
func pinned(r pipeline.Request) bool { return pathVersion(r) != "" }

// versioned is a parameter about the version in the path.
type versioned[P any] struct {
	version string
	params  P
}

// atVersion makes a rule about a version take it as the path has it. What cannot be a
// version is not there, which only those may learn who may look.
func atVersion[P, R any](f object.Family, rule func(context.Context, access.Grant, object.Version, P) (R, error)) pipeline.Rule[versioned[P], R] {
	return func(ctx context.Context, g access.Grant, p versioned[P]) (none R, err error) {
		var v object.Version
		if p.version != "" {
			if v, err = object.ParseVersion(p.version); err != nil {
				return none, subjects[f].NotFound(g.Name().String() + "/" + rest.Excerpt(p.version))
			}
		}
		return rule(ctx, g, v, p.params)
	}
}

// onVersion makes the endpoint of a rule about a version that reads a body.
func onVersion[P, R any](a access.Action, f object.Family, parse func(pipeline.Request, *rest.Input) P,
	rule func(context.Context, access.Grant, object.Version, P) (R, error), render func(pipeline.Request, R) rest.Reply) pipeline.Endpoint {
	return pipeline.WithBody(a, func(r pipeline.Request, in *rest.Input) versioned[P] {
		return versioned[P]{pathVersion(r), parse(r, in)}
	},
		atVersion(f, rule), render)
}

// ofVersion makes the endpoint of a rule that needs a version only.
func ofVersion[R any](a access.Action, f object.Family, rule func(context.Context, access.Grant, object.Version) (R, error),
	render func(pipeline.Request, R) rest.Reply) pipeline.Endpoint {
	return pipeline.WithoutBody(a, func(r pipeline.Request) versioned[pipeline.None] {
		return versioned[pipeline.None]{version: pathVersion(r)}
	},
		versionOnly(f, rule), render)
}

// versionOnly is atVersion for a rule that needs nothing else.
func versionOnly[R any](f object.Family, rule func(context.Context, access.Grant, object.Version) (R, error)) pipeline.Rule[versioned[pipeline.None], R] {
	return atVersion(f, func(ctx context.Context, g access.Grant, v object.Version, _ pipeline.None) (R, error) {
		return rule(ctx, g, v)
	})
}

// objectID is the identifier of an object, with its version if there is one.
func objectID(r pipeline.Request, f object.Family, n object.Name, v object.Version) string {
	if v == "" {
		return r.Base() + "/" + string(f) + "/" + n.String()
	}
	return r.Base() + "/" + string(f) + "/" + n.String() + "/" + string(v)
}
