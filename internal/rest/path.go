package rest

import (
	"net/url"
	"strings"
)

// maxParts is one more than the longest route has, so that what is longer still
// counts as longer.
const maxParts = 6

// Path is a path cut at its slashes, each part decoded once. Empty parts vanish:
// clients write an omitted version as one, and double slashes where a vault
// address ends in one (contract certificates.md, 2.2).
type Path struct {
	part [maxParts]string
	n    int
}

// Len is the number of parts, at most one more than the longest route has.
func (p *Path) Len() int { return p.n }

// Part is the part at i, below Len.
func (p *Path) Part(i int) string { return p.part[i] }

// SplitPath cuts an escaped path, so that an escaped slash stays within its part.
// ok is false for a part that does not decode.
func SplitPath(escaped string) (s Path, ok bool) {
	for part := range strings.SplitSeq(escaped, "/") {
		if part == "" {
			continue
		}
		if strings.IndexByte(part, '%') >= 0 {
			plain, err := url.PathUnescape(part)
			if err != nil {
				return s, false
			}
			part = plain
		}
		if s.n == maxParts {
			break
		}
		s.part[s.n] = part
		s.n++
	}
	return s, true
}
