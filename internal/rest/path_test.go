package rest

import (
	"strings"
	"testing"
)

func TestPathsAreSplitOnceAndDecodedOnce(t *testing.T) {
	for path, want := range map[string]string{
		"/":                             "",
		"":                              "",
		"///":                           "",
		"/certificates/a/":              "certificates|a",
		"//certificates//a///import/":   "certificates|a|import",
		"/certificates/a%2Fb":           "certificates|a/b",
		"/certificates/%252F":           "certificates|%2F",
		"/certificates/a+b":             "certificates|a+b",
		"/a/b/c/d/e":                    "a|b|c|d|e",
		"/certificates/%2e%2e/%2E":      "certificates|..|.",
		"/1/2/3/4/5/6/7/8/9/10/11/12//": "1|2|3|4|5|6",
	} {
		s, ok := SplitPath(path)
		if got := strings.Join(s.part[:s.n], "|"); !ok || got != want {
			t.Errorf("%s: %s, %v, want %s", path, got, ok, want)
		}
	}
	if _, ok := SplitPath("/a/%zz"); ok {
		t.Error("%zz was decoded")
	}
}
