package keyvault

import (
	"net/url"
	"strings"
)

// maxSegments is one more than the longest route has, so that what is longer
// still counts as longer.
const maxSegments = 6

// segments is a path cut at its slashes, each part decoded once. Empty parts
// vanish: clients write an omitted version as one, and double slashes where a
// vault address ends in one (contract certificates.md, 2.2).
type segments struct {
	part [maxSegments]string
	n    int
}

// splitPath cuts the escaped path, so that an escaped slash stays within its
// part. ok is false for a part that does not decode.
func splitPath(escaped string) (s segments, ok bool) {
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
		if s.n == maxSegments {
			break
		}
		s.part[s.n] = part
		s.n++
	}
	return s, true
}
