package keyvault

import (
	"context"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
)

// selection is what a read asks for, beside its route and its host.
type selection struct {
	version  string // in the path, as it is there; "" for the current one
	position position
	given    bool // the caller named the size of a page, which links repeat
}

// answerKey is all that the answer of a read depends on beside the objects.
type answerKey struct {
	vault    object.VaultID
	revision int64  // of the vault's settings, which attributes show
	host     string // of ids and links
	pattern  string // of the route
	name     string // as the path has it, which links repeat
	version  string // of the API, as links repeat it
	selected selection
}

// answer is an encoded answer. It is never changed.
type answer struct {
	text    []byte
	version object.Version // for the record; "": none
}

// maxAnswers bounds the answers kept, in bytes.
const maxAnswers = 16 << 20

func (a answer) size() int { return 1<<10 + len(a.text) }

// kept makes the endpoint of a read that answers the same to whoever may ask, until
// an object changes: read gives what follows from the selection and the request's
// route, host, name and api-version, and from nothing else.
func (s *Server) kept(a access.Action, selected func(context.Context, pipeline.Request) (selection, error),
	read func(context.Context, access.Grant, pipeline.Request, selection) (rest.Reply, object.Version, error)) pipeline.Endpoint {
	rule := func(ctx context.Context, g access.Grant, r pipeline.Request) (answer, error) {
		g.Must(a)
		sel, err := selected(ctx, r)
		if err != nil {
			return answer{}, err
		}
		k := answerKey{r.Vault().ID, r.Vault().Revision, r.Address().Host, r.Pattern(), r.Name().String(), r.Version().Text(), sel}
		kept, err := s.answers.Get(k, func() (answer, error) {
			reply, version, err := read(ctx, g, r, sel)
			if err != nil {
				return answer{}, err
			}
			text, err := rest.Text(reply)
			return answer{text, version}, err
		})
		if kept.version != "" {
			g.Attempt().ObjectVersion(kept.version) // as the rule did when it was asked
		}
		return kept, err
	}
	render := func(_ pipeline.Request, a answer) rest.Reply {
		return rest.Reply{Status: http.StatusOK, Text: a.text}
	}
	return pipeline.WithoutBody(a, func(r pipeline.Request) pipeline.Request { return r }, rule, render)
}

// keptVersion is kept for what shows one version.
func keptVersion[R any](s *Server, a access.Action, f object.Family, rule func(context.Context, access.Grant, object.Version) (R, error),
	version func(R) object.Version, render func(pipeline.Request, R) rest.Reply) pipeline.Endpoint {
	at := versionOnly(f, rule)
	return s.kept(a, func(_ context.Context, r pipeline.Request) (selection, error) {
		return selection{version: pathVersion(r)}, nil
	}, func(ctx context.Context, g access.Grant, r pipeline.Request, sel selection) (rest.Reply, object.Version, error) {
		out, err := at(ctx, g, versioned[pipeline.None]{version: sel.version})
		if err != nil {
			return rest.Reply{}, "", err
		}
		return render(r, out), version(out), nil
	})
}
