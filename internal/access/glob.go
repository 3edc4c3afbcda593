package access

import "slices"

// matches tells whether the pattern covers the action: * is any run of
// characters, slashes included; case does not count.
func matches(pattern, action string) bool {
	return glob(pattern, action, wild{star: '*', fold: true})
}

// matchesAny tells whether one of the patterns covers the action.
func matchesAny(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, action) })
}

// wild says which bytes of a pattern stand for others. 0 stands for itself.
type wild struct {
	star byte // any run of characters
	one  byte // any one character
	fold bool // ASCII letters compare without case
}

// glob tells whether the whole of s matches. On a mismatch it goes back to the
// last star only, so that its time is bounded by the product of the lengths.
func glob(pattern, s string, w wild) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == w.star && w.star != 0:
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == w.one && w.one != 0 || w.same(pattern[p], s[i])):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == w.star && w.star != 0 {
		p++
	}
	return p == len(pattern)
}

func (w wild) same(a, b byte) bool {
	return a == b || w.fold && lower(a) == lower(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
