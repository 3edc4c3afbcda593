package keyvault

import (
	"context"
	"strconv"
	"strings"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/seal"
)

// position is what a list request asks for.
type position struct {
	page    object.Page
	pending bool // also names that have only a placeholder
}

// listing makes the endpoint of a list: rule reads a page, line shows an item, after
// is the order key that the next page starts behind.
func listing[T, L any](s *Server, a access.Action, rule func(context.Context, access.Grant, position) ([]T, bool, error),
	line func(pipeline.Request, T) L, after func(T) string) pipeline.Endpoint {
	return s.kept(a, s.position, func(ctx context.Context, g access.Grant, r pipeline.Request, sel selection) (rest.Reply, object.Version, error) {
		items, more, err := rule(ctx, g, sel.position)
		if err != nil {
			return rest.Reply{}, "", err
		}
		page := rest.Page[L]{Value: make([]L, len(items))}
		for i, item := range items {
			page.Value[i] = line(r, item)
		}
		if more && len(items) > 0 {
			link, err := s.nextLink(ctx, r, sel, after(items[len(items)-1]))
			if err != nil {
				return rest.Reply{}, "", err
			}
			page.NextLink = &link
		}
		return rest.OK(page), "", nil
	})
}

// paged makes a rule that knows no placeholders one of listing.
func paged[T any](rule func(context.Context, access.Grant, object.Page) ([]T, bool, error)) func(context.Context, access.Grant, position) ([]T, bool, error) {
	return func(ctx context.Context, g access.Grant, p position) ([]T, bool, error) { return rule(ctx, g, p.page) }
}

// headed is one version with the head that all of its list share.
type headed[V any] struct {
	version V
	head    object.Head
}

// withHead makes a rule that lists versions, all of one name, one of listing.
func withHead[V any](rule func(context.Context, access.Grant, object.Page) ([]V, object.Head, bool, error)) func(context.Context, access.Grant, position) ([]headed[V], bool, error) {
	return func(ctx context.Context, g access.Grant, p position) ([]headed[V], bool, error) {
		vs, h, more, err := rule(ctx, g, p.page)
		out := make([]headed[V], len(vs))
		for i, v := range vs {
			out[i] = headed[V]{v, h}
		}
		return out, more, err
	}
}

// The flags of our continuations.
const (
	withPending    = 'p' // placeholders too
	withoutPending = 'r'
)

// position reads where a list goes on, or how it begins.
func (s *Server) position(ctx context.Context, r pipeline.Request) (sel selection, err error) {
	p := &sel.position
	if p.page.Limit, sel.given, err = r.Query().PageSize(); err != nil {
		return sel, err
	}
	text := r.Query().Get(rest.SkipToken)
	if text == "" {
		p.pending, err = includePending(r)
		return sel, err
	}
	c, err := rest.OpenContinuation(ctx, s.cfg.Sealer, listPlace(r), text)
	p.page.After, p.pending = c.After, c.Flag == withPending
	return sel, err
}

// includePending is a parameter that versions before 7.0 do not know.
func includePending(r pipeline.Request) (bool, error) {
	text := r.Query().Get("includePending")
	switch {
	case text == "" || !r.Version().Has(modernNames) || strings.EqualFold(text, "false"):
		return false, nil
	case strings.EqualFold(text, "true"):
		return true, nil
	}
	return false, fault.InvalidField("includePending", "")
}

// listPlace binds a continuation to its vault, its list and the name that the list is
// of.
func listPlace(r pipeline.Request) seal.Place {
	return seal.Place{Vault: r.Vault().ID, Name: r.Name().Key(), Column: r.Pattern()}
}

// nextLink is what the client will call verbatim: it names the port even when it
// is 443, and the list as the route spells it (contract certificates.md, 2.6).
func (s *Server) nextLink(ctx context.Context, r pipeline.Request, sel selection, after string) (string, error) {
	next := rest.Continuation{Flag: withoutPending, After: after}
	if sel.position.pending {
		next.Flag = withPending
	}
	text, err := next.Seal(ctx, s.cfg.Sealer, listPlace(r))
	if err != nil {
		return "", err
	}
	path := strings.Replace(r.Pattern(), nameParam, r.Name().String(), 1)
	link := r.Address().Link() + path + "?api-version=" + r.Version().Text() + "&$skiptoken=" + text
	if sel.given {
		link += "&maxresults=" + strconv.Itoa(sel.position.page.Limit)
	}
	return link, nil
}
