package keyvault

import (
	"strings"
	"testing"
)

// TestVersionsAreInOrder holds the rule of contract keys.md, 3: date versions
// sort after 7.6, a preview just before its stable release.
func TestVersionsAreInOrder(t *testing.T) {
	seen := map[string]int{}
	for i, v := range apiVersions {
		if v != strings.ToLower(v) {
			t.Errorf("%s: versions are kept in lower case", v)
		}
		seen[v] = i
	}
	if len(seen) != len(apiVersions) {
		t.Error("a version is there twice")
	}
	for _, v := range apiVersions {
		stable, _, preview := strings.Cut(v, "-preview")
		if at, ok := seen[stable]; preview && ok && at < seen[v] {
			t.Errorf("%s comes after %s", v, stable)
		}
	}
	for i := 1; i < len(apiVersions); i++ {
		a, _, _ := strings.Cut(apiVersions[i-1], "-preview")
		b, _, _ := strings.Cut(apiVersions[i], "-preview")
		if old := strings.HasPrefix(b, "7."); len(a) == len(b) && a > b && !old {
			t.Errorf("%s comes before %s", apiVersions[i-1], apiVersions[i])
		}
	}
}
