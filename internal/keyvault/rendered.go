package keyvault

import (
	"coffer/internal/certificate"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
)

// renderedKey is all that the answer depends on.
type renderedKey struct {
	bundle   *certificate.Bundle
	base     string // of ids
	rank     int    // of the api-version
	pinned   bool
	revision int64 // of the vault's settings, which attributes show
}

// maxRendered bounds the answers kept: about 3 KB each.
const maxRendered = 2048

// renderRead keeps the encoded answers of GET certificate for bundles that the
// service answers again as long as nothing changes. A bundle is never changed, so
// what was made of it stays right; when the service answers another one, the old
// answers are no longer asked for.
func (s *Server) renderRead(r pipeline.Request, b *certificate.Bundle) rest.Reply {
	if !b.Kept {
		return renderRead(r, b)
	}
	k := renderedKey{b, r.Base(), r.Version().Rank(), pinned(r), r.Vault().Revision}
	if text, found := s.rendered.Get(k); found {
		return rest.Reply{Status: 200, Text: text}
	}
	out := renderRead(r, b)
	a, err := rest.Encode(out)
	if err != nil {
		return out // it fails again where failures are answered
	}
	out = rest.Reply{Status: a.Status(), Text: a.Copy()}
	a.Release()
	s.rendered.Put(k, out.Text)
	return out
}
