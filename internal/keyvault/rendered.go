package keyvault

import "coffer/internal/certificate"

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
func (s *Server) renderRead(c *call, b *certificate.Bundle) reply {
	if !b.Kept {
		return renderRead(c, b)
	}
	k := renderedKey{b, c.address.base, c.version.rank, c.pinned != "", c.vault.Revision}
	if text, found := s.rendered.Get(k); found {
		c.attempt.ObjectVersion(b.Version.Version)
		return reply{status: 200, text: text}
	}
	r := renderRead(c, b)
	a, err := encode(r)
	if err != nil {
		return r // it fails again where failures are answered
	}
	r = reply{status: a.status, text: append([]byte(nil), a.body.Bytes()...)}
	a.release()
	s.rendered.Put(k, r.text)
	return r
}
