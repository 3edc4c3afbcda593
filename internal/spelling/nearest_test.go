package spelling

import (
	"strings"
	"testing"
)

func TestSuggestionIsTheWordThatWasMeant(t *testing.T) {
	roles := []string{"Key Vault Reader", "Key Vault Administrator", "Reader", "Owner"}
	for word, want := range map[string]string{
		"key vault adminstrator":   "Key Vault Administrator",
		"Key Vault Administrators": "Key Vault Administrator",
		"Raeder":                   "Reader", // two letters swapped are one slip
		"KeyVault Reader":          "Key Vault Reader",
		"King":                     "",
		"":                         "",
		"x":                        "",
		"\xff\xfe":                 "",
		strings.Repeat("a", 1000):  "",
	} {
		got := Suggest(word, roles)
		if want != "" {
			want = " Did you mean '" + want + "'?"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abcd", "acbd", 1}, {"é", "e", 1}, {"abcdefghijkl", "", 9}} {
		if got := distance(c.a, c.b, 9); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
