package keyvault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// position is what a list request asks for.
type position struct {
	page    object.Page
	pending bool // also names that have only a placeholder
}

// page is one answer of a list. nextLink is written always: clients take its
// absence for a mistake.
type page[T any] struct {
	Value    []T     `json:"value"`
	NextLink *string `json:"nextLink"`
}

// listing makes the handler of a list: rule reads a page, line shows an item,
// after is the order key that the next page starts behind.
func listing[T, L any](s *Server, rule func(*call, position) ([]T, bool, error), line func(*call, T) L, after func(T) string) handler {
	return func(c *call, _ *input) (reply, error) {
		size, given, err := c.query.pageSize()
		if err != nil {
			return reply{}, err
		}
		p := position{page: object.Page{Limit: size}}
		if c.query.skipToken == "" {
			p.pending, err = c.query.pending(c.version)
		} else {
			p.page.After, p.pending, err = s.openToken(c.ctx, c)
		}
		if err != nil {
			return reply{}, err
		}
		items, more, err := rule(c, p)
		if err != nil {
			return reply{}, err
		}
		out := page[L]{Value: make([]L, len(items))}
		for i, item := range items {
			out.Value[i] = line(c, item)
		}
		if more && len(items) > 0 {
			token, err := s.sealToken(c.ctx, c, after(items[len(items)-1]), p.pending)
			if err != nil {
				return reply{}, err
			}
			link := c.nextLink(token)
			if given {
				link += "&maxresults=" + strconv.Itoa(size)
			}
			out.NextLink = &link
		}
		return ok(out), nil
	}
}

// nextLink is what the client will call verbatim: it names the port even when it
// is 443, and the list as the route spells it (contract certificates.md, 2.6).
func (c *call) nextLink(token string) string {
	link := c.address.link()
	for _, w := range c.route.words {
		if w == nameParam {
			w = c.name.String()
		}
		link += "/" + w
	}
	return link + "?api-version=" + c.version.text + "&$skiptoken=" + token
}

// A continuation token is a sealed box, so that nobody can make one up and none
// fits another vault or list. It holds one byte that tells whether placeholders
// are listed, then the order key. It does not hold the api-version, which some
// SDKs replace.

// maxToken is the longest token that is looked at: an order key of at most 127
// bytes with the overhead of box and base64 stays below.
const maxToken = 512

const (
	tokenAll     = 'p' // placeholders too
	tokenRegular = 'r'
)

// tokenPlace binds a token to its vault, its list and the name that the list is
// of.
func tokenPlace(c *call) seal.Place {
	return seal.Place{Kind: "continuation", Vault: c.vault.ID, Name: c.name.Key(), Column: c.route.pattern}
}

func (s *Server) sealToken(ctx context.Context, c *call, after string, pending bool) (string, error) {
	kind := byte(tokenRegular)
	if pending {
		kind = tokenAll
	}
	box, err := s.cfg.Sealer.Seal(ctx, tokenPlace(c), append([]byte{kind}, after...))
	if err != nil {
		return "", fmt.Errorf("sealing a continuation token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(box), nil
}

func (s *Server) openToken(ctx context.Context, c *call) (after string, pending bool, err error) {
	if len(c.query.skipToken) > maxToken {
		return "", false, badToken()
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(c.query.skipToken)
	if err != nil {
		return "", false, badToken()
	}
	value, err := s.cfg.Sealer.Open(ctx, tokenPlace(c), box)
	if errors.Is(err, seal.ErrBox) {
		return "", false, badToken()
	}
	if err != nil {
		return "", false, fmt.Errorf("opening a continuation token: %w", err)
	}
	plain := value.Reveal()
	if len(plain) < 2 {
		return "", false, badToken()
	}
	return string(plain[1:]), plain[0] == tokenAll, nil
}

func badToken() error {
	return &fault.Error{Kind: fault.Invalid, Field: "$skiptoken", Msg: "Invalid continuation token."}
}
