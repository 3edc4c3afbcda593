package store

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Every write says what it touches, and nothing else is in the table.
func TestEveryWriteHasItsAreas(t *testing.T) {
	write := regexp.MustCompile(`tx\.(?:exec|insert|insertHead|updateHead|change)\(ctx, (?:object\.\w+, )?"(\w+)"`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range write.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
		}
	}
	got, want := slices.Sorted(maps.Keys(touches)), slices.Sorted(maps.Keys(found))
	if !slices.Equal(got, want) {
		t.Errorf("areas are told of\n%v\nbut written are\n%v", got, want)
	}
}
