package rest

import (
	"slices"
	"strings"
)

// Route is one path of a door with what its methods do: E is an operation. A
// pattern such as /secrets/{name}/versions has words and parameters in braces.
type Route[E any] struct {
	pattern string
	words   []string
	closed  bool
	methods []Method[E]
}

// Method is what one method of a path does.
type Method[E any] struct {
	Verb string
	Do   E
}

// NewRoute makes a route out of its pattern.
func NewRoute[E any](pattern string, methods ...Method[E]) Route[E] {
	return Route[E]{pattern: pattern, words: strings.Split(pattern[1:], "/"), methods: methods}
}

// Closed is the route for which no other is looked at when it fits the path: its
// word cannot be a name.
func (r Route[E]) Closed() Route[E] {
	r.closed = true
	return r
}

// Pattern is the path as it was given to NewRoute.
func (r *Route[E]) Pattern() string { return r.pattern }

// Methods are what the path does.
func (r *Route[E]) Methods() []Method[E] { return r.methods }

func (r *Route[E]) method(verb string) *E {
	for i := range r.methods {
		if r.methods[i].Verb == verb {
			return &r.methods[i].Do
		}
	}
	return nil
}

// matches compares fixed words without case; a parameter takes any part.
func (r *Route[E]) matches(p *Path) bool {
	if len(r.words) != p.n {
		return false
	}
	for i, w := range r.words {
		if w[0] != '{' && !strings.EqualFold(w, p.part[i]) {
			return false
		}
	}
	return true
}

// Param is the part of a path that stands where the pattern has a parameter, named
// with its braces; "" when the pattern has none of that name.
func (r *Route[E]) Param(p *Path, name string) string {
	for i, w := range r.words {
		if w == name {
			return p.part[i]
		}
	}
	return ""
}

// Router finds routes by their first word and length; within these the first that
// fits wins, and fixed words stand before parameters.
type Router[E any] map[routeKey][]Route[E]

type routeKey struct {
	first string
	n     int
}

// NewRouter panics over a route that is longer than the paths that are read.
func NewRouter[E any](routes []Route[E]) Router[E] {
	r := Router[E]{}
	for _, route := range routes {
		if len(route.words) >= maxParts {
			panic("rest: a route of too many parts: " + route.pattern)
		}
		k := routeKey{strings.ToLower(route.words[0]), len(route.words)}
		r[k] = append(r[k], route)
	}
	for _, list := range r {
		slices.SortStableFunc(list, func(a, b Route[E]) int { return slices.Compare(rank(a.words), rank(b.words)) })
	}
	return r
}

// rank orders fixed words before parameters, from the left.
func rank(words []string) []int {
	out := make([]int, len(words))
	for i, w := range words {
		if w[0] == '{' {
			out[i] = 1
		}
	}
	return out
}

// Find gives the route and what the method does there. With nothing to do, allow
// names the methods that the path has; without a route, it is nil.
func (r Router[E]) Find(p *Path, verb string) (found *Route[E], do *E, allow []string) {
	if p.n == 0 {
		return nil, nil, nil
	}
	list := r[routeKey{strings.ToLower(p.part[0]), p.n}]
	for i := range list {
		if !list[i].matches(p) {
			continue
		}
		if found == nil {
			found = &list[i]
		}
		if do := list[i].method(verb); do != nil {
			return &list[i], do, nil
		}
		for _, m := range list[i].methods {
			if !slices.Contains(allow, m.Verb) {
				allow = append(allow, m.Verb)
			}
		}
		if list[i].closed {
			break
		}
	}
	return found, nil, allow
}
