package coffer_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Comments cite the contract as "contract FILE, SECTION" (docs/architecture.md).
// A citation is a file name and what follows it: numbers of sections, alone, in
// lists ("2, 5 and 6") or as a range ("4.1 to 4.3"), and what they hold ("8.7
// rule 2", "question 43", "step 7").
var (
	contractFile = regexp.MustCompile(`\b(access-control|certificates|errors|identity|issuers|keys|management|observability|secrets)\.md\b`)
	citedPart    = regexp.MustCompile("^`?(?:,|;|[\\s/*#-]+and|[\\s/*#-]+to)?[\\s/*#-]+(?:(sections?|questions?|rules?|steps?)[\\s/*#-]+)?(\\d+(?:\\.\\d+)*)\\b")
	citedName    = regexp.MustCompile(`\bcontract[\s/*#-]+([a-z-]+\.md)\b`)
)

// contractOutline is what of a file can be cited: its headings, and below each
// the numbered rules, questions or rows, "8.7" and "8.7/2".
func contractOutline(t *testing.T, path string) map[string]bool {
	heading := regexp.MustCompile(`^##+ (\d+(?:\.\d+)*)\.? `)
	item := regexp.MustCompile(`^(?:(\d+)\. |\| (\d+) \|)`)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	outline, section := map[string]bool{}, ""
	for line := range strings.Lines(string(text)) {
		if m := heading.FindStringSubmatch(line); m != nil {
			section = m[1]
			outline[section] = true
		} else if m := item.FindStringSubmatch(line); m != nil && section != "" {
			outline[section+"/"+m[1]+m[2]] = true
		}
	}
	return outline
}

// citable reports whether a file has what a citation names. A question stands in
// the last section; "17.26" may be number 26 in section 17.
func citable(outline map[string]bool, section, word, number string) bool {
	switch strings.TrimSuffix(word, "s") {
	case "question":
		for name := range outline {
			if s, n, ok := strings.Cut(name, "/"); ok && n == number && !strings.Contains(s, ".") && s == lastSection(outline) {
				return true
			}
		}
		return false
	case "rule", "step":
		return outline[section+"/"+number]
	}
	if outline[number] {
		return true
	}
	i := strings.LastIndexByte(number, '.')
	return i > 0 && outline[number[:i]+"/"+number[i+1:]]
}

func lastSection(outline map[string]bool) string {
	last := ""
	for name := range outline {
		if strings.ContainsAny(name, "./") {
			continue
		}
		if len(name) > len(last) || len(name) == len(last) && name > last {
			last = name
		}
	}
	return last
}

// made are the folders that programs make, which .gitignore has too.
var made = []string{"node_modules", "target", "build", "coffer-data", "__pycache__"}

// sources calls visit with every file of the tree that has one of the extensions; nil: all.
func sources(t *testing.T, extensions []string, visit func(path string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(made, d.Name()) || strings.HasPrefix(d.Name(), ".") && path != "." && d.Name() != ".ci" {
				return filepath.SkipDir
			}
			return nil
		}
		if extensions != nil && !slices.Contains(extensions, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			visit(path, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func lineOf(text []byte, offset int) int { return 1 + bytes.Count(text[:offset], []byte("\n")) }

func TestCitationsOfTheContractPointSomewhere(t *testing.T) {
	outlines := map[string]map[string]bool{}
	files, err := filepath.Glob("docs/contract/*.md")
	if err != nil || len(files) != 9 {
		t.Fatalf("docs/contract has %d files (%v)", len(files), err)
	}
	for _, f := range files {
		outlines[filepath.Base(f)] = contractOutline(t, f)
	}
	cited := 0
	extensions := []string{".go", ".md", ".sql", ".txtar", ".java", ".js", ".py", ".cs", ".sh", ".txt"}
	sources(t, extensions, func(path string, text []byte) {
		for _, m := range citedName.FindAllSubmatchIndex(text, -1) {
			if name := string(text[m[2]:m[3]]); outlines[name] == nil {
				t.Errorf("%s:%d: docs/contract has no %s", path, lineOf(text, m[0]), name)
			}
		}
		for _, m := range contractFile.FindAllIndex(text, -1) {
			name, rest, section := string(text[m[0]:m[1]]), text[m[1]:], ""
			for {
				part := citedPart.FindSubmatch(rest)
				if part == nil {
					break
				}
				word, number := string(part[1]), string(part[2])
				cited++
				if !citable(outlines[name], section, word, number) {
					t.Errorf("%s:%d: docs/contract/%s has no %s", path, lineOf(text, m[0]), name, strings.TrimSpace(word+" "+number))
				}
				if word == "" || strings.HasPrefix(word, "section") {
					section = number
				}
				rest = rest[len(part[0]):]
			}
		}
	})
	if cited < 200 {
		t.Errorf("only %d citations were found", cited)
	}
	t.Logf("%d citations", cited)
}

// TestArchitectureNamesWhatIsThere: what the page names as `package.Name`, or
// `package.Type.Method`, is declared there.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z]\\w*)((?:\\.[A-Za-z]\\w*)+)`")
	checked := 0
	for _, m := range named.FindAllSubmatchIndex(page, -1) {
		dir := filepath.Join("internal", string(page[m[2]:m[3]]))
		if d, found := testPackages[string(page[m[2]:m[3]])]; found {
			dir = d
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			continue // a setting, or a file
		}
		var text []byte
		for _, f := range files {
			more, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, more...)
		}
		checked++
		for name := range strings.SplitSeq(string(page[m[4]+1:m[5]]), ".") {
			if name == strings.ToLower(name) && strings.Contains(name, "_") {
				continue // of a setting
			}
			if !regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type |var |const |\t)` + name + `\b`).Match(text) {
				t.Errorf("docs/architecture.md:%d: %s has no %s", lineOf(page, m[0]), dir, name)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d names were checked", checked)
	}
}

// testPackages are those below another.
var testPackages = map[string]string{"storetest": "internal/store/storetest"}
