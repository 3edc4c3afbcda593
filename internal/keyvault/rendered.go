package keyvault

import (
	"sync"

	"coffer/internal/certificate"
)

// rendered keeps the encoded answers of GET certificate for bundles that the
// service answers again as long as nothing changes. A bundle is never changed, so
// what was made of it stays right; when the service answers another one, the old
// answers are no longer asked for.
type rendered struct {
	mu      sync.RWMutex
	answers map[renderedKey][]byte // guarded by mu; never changed
}

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

func (s *Server) renderRead(c *call, b *certificate.Bundle) reply {
	if !b.Kept {
		return renderRead(c, b)
	}
	k := renderedKey{b, c.address.base, c.version.rank, c.pinned != "", c.vault.Revision}
	s.rendered.mu.RLock()
	text, found := s.rendered.answers[k]
	s.rendered.mu.RUnlock()
	if found {
		c.entry.SetObjectVersion(string(b.Version.Version))
		return reply{status: 200, text: text}
	}
	r := renderRead(c, b)
	a, err := encode(r)
	if err != nil {
		return r // it fails again where failures are answered
	}
	r = reply{status: a.status, text: append([]byte(nil), a.body.Bytes()...)}
	a.release()
	s.rendered.mu.Lock()
	defer s.rendered.mu.Unlock()
	if s.rendered.answers == nil || len(s.rendered.answers) >= maxRendered {
		s.rendered.answers = map[renderedKey][]byte{}
	}
	s.rendered.answers[k] = r.text
	return r
}
