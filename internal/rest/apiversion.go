package rest

import (
	"strings"

	"coffer/internal/fault"
)

// Versions are the api-versions that a door accepts.
type Versions struct {
	// List has them in lower case, oldest first; a preview comes before its stable
	// release. Every operation runs under each of them; they differ in the members
	// that are shown and read.
	List        []string
	Recommended string // named by a refusal
	// Newer admits well-formed date versions above the newest known one, and treats
	// them as that.
	Newer bool
}

// Version is the api-version of one request. The zero value is none.
type Version struct {
	text string
	rank int // index into the list
}

// Text is the version as the caller wrote it: links repeat it.
func (v Version) Text() string { return v.text }

// Has tells whether the version knows the feature.
func (v Version) Has(f Feature) bool { return v.rank >= f.since }

// Feature is something on the wire that appears with a version.
type Feature struct{ since int }

// Since is what came with a version of the list; it panics over any other.
func Since(list []string, version string) Feature {
	for i, v := range list {
		if v == version {
			return Feature{i}
		}
	}
	panic("rest: no such api-version: " + version)
}

// APIVersion is the name of the parameter.
const APIVersion = "api-version"

// Parse reads the api-version of a query. The error is a *fault.Error.
func (vs *Versions) Parse(q Query) (Version, error) {
	text := q.Get(APIVersion)
	switch {
	case text == "":
		return Version{}, &fault.Error{Kind: fault.Invalid, Field: APIVersion, Msg: "api-version must be specified"}
	case q.Ambiguous(APIVersion):
		return Version{}, fault.InvalidField(APIVersion, "It is given twice.")
	}
	last := len(vs.List) - 1
	for i := last; i >= 0; i-- {
		if strings.EqualFold(vs.List[i], text) {
			return Version{text, i}, nil
		}
	}
	if vs.Newer && isDateVersion(text) && strings.ToLower(text) > vs.List[last] {
		return Version{text, last}, nil
	}
	return Version{}, &fault.Error{Kind: fault.Invalid, Field: APIVersion, Msg: "The specified version (" + Excerpt(text) +
		") is not recognized. Consider using the latest supported version (" + vs.Recommended + ")."}
}

// isDateVersion reports whether s is YYYY-MM-DD, with -preview or without.
func isDateVersion(s string) bool {
	const form = "dddd-dd-dd"
	s = strings.TrimSuffix(strings.ToLower(s), "-preview")
	if len(s) != len(form) {
		return false
	}
	for i := range len(form) {
		if digit := s[i] >= '0' && s[i] <= '9'; digit != (form[i] == 'd') || !digit && s[i] != '-' {
			return false
		}
	}
	return true
}
