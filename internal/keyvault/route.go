package keyvault

import (
	"slices"
	"strings"

	"coffer/internal/object"
)

// route is one path of the contract with what its methods do.
type route struct {
	pattern  string // as the contract writes it; the log shows it
	words    []string
	family   object.Family
	reserved bool // no other route is looked at: the word cannot be a name
	methods  []routeMethod
}

type routeMethod struct {
	verb     string
	endpoint endpoint
}

// The parameters of a pattern.
const (
	nameParam    = "{name}"
	issuerParam  = "{issuer}"
	versionParam = "{version}"
)

// newRoute reads a pattern such as /certificates/{name}/versions.
func newRoute(family object.Family, pattern string, methods ...routeMethod) route {
	return route{pattern: pattern, family: family, words: strings.Split(pattern[1:], "/"), methods: methods}
}

func (r route) onlyOne() route {
	r.reserved = true
	return r
}

func (r *route) endpoint(verb string) *endpoint {
	for i := range r.methods {
		if r.methods[i].verb == verb {
			return &r.methods[i].endpoint
		}
	}
	return nil
}

// matches compares fixed words without case; a parameter takes any part.
func (r *route) matches(s *segments) bool {
	if len(r.words) != s.n {
		return false
	}
	for i, w := range r.words {
		if w[0] != '{' && !strings.EqualFold(w, s.part[i]) {
			return false
		}
	}
	return true
}

// param is the part that stands where the pattern has a parameter.
func (r *route) param(s *segments, names ...string) (string, bool) {
	for i, w := range r.words {
		if slices.Contains(names, w) {
			return s.part[i], true
		}
	}
	return "", false
}

// router finds routes by their first word and length; within these the first
// that fits wins, and fixed words stand before parameters.
type router map[routeKey][]route

type routeKey struct {
	first string
	n     int
}

func newRouter(routes []route) router {
	r := router{}
	for _, route := range routes {
		k := routeKey{route.words[0], len(route.words)}
		r[k] = append(r[k], route)
	}
	for _, list := range r {
		slices.SortStableFunc(list, func(a, b route) int { return slices.Compare(rank(a), rank(b)) })
	}
	return r
}

// rank orders fixed words before parameters, from the left.
func rank(r route) []int {
	out := make([]int, len(r.words))
	for i, w := range r.words {
		if w[0] == '{' {
			out[i] = 1
		}
	}
	return out
}

// find gives the route and what the method does there. Without an endpoint,
// allow names the methods that the path has; without a route, it is nil.
func (r router) find(s *segments, verb string) (found *route, ep *endpoint, allow []string) {
	if s.n == 0 {
		return nil, nil, nil
	}
	list := r[routeKey{strings.ToLower(s.part[0]), s.n}]
	for i := range list {
		if !list[i].matches(s) {
			continue
		}
		if found == nil {
			found = &list[i]
		}
		if ep := list[i].endpoint(verb); ep != nil {
			return &list[i], ep, nil
		}
		for _, m := range list[i].methods {
			if !slices.Contains(allow, m.verb) {
				allow = append(allow, m.verb)
			}
		}
		if list[i].reserved {
			break
		}
	}
	return found, nil, allow
}
