package coffer_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The tree is ours: no file says that it is somebody else's. The words are taken
// apart here, lest this file says it.
func TestNoNoticesOfOthers(t *testing.T) {
	notice := regexp.MustCompile(`(?i)copy` + `right|all rights` + ` reserved|SPDX-` + `License|hereby` + ` granted|-style` + ` license|\(` + `c\) (19|20)\d\d`)
	file := regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|authors|patents)\b`)
	read := 0
	sources(t, nil, func(path string, text []byte) {
		if bytes.HasPrefix(text, []byte("\x7fELF")) {
			t.Errorf("%s is a built program", path)
		}
		if path == "LICENSE" || !utf8.Valid(text) {
			return
		}
		read++
		if file.MatchString(filepath.Base(path)) {
			t.Errorf("%s: there is one licence, at the root", path)
		}
		for _, m := range notice.FindAllIndex(text, -1) {
			t.Errorf("%s:%d: %q: write it anew, or use a module", path, lineOf(text, m[0]), text[m[0]:m[1]])
		}
	})
	if read < 500 {
		t.Errorf("only %d files were read", read)
	}
}

// words is what is not said here, and what is said instead.
var words = map[string]string{
	"bear":      "insert",
	"birth":     "creation",
	"born":      "inserted, made",
	"conceive":  "build",
	"conceived": "built",
	"meaning":   "what it resolves to",
	"newborn":   "the new version",
	"parents":   "what it is built from",
	"stranger":  "unauthenticated caller, unrelated",
	"strangers": "unauthenticated callers",
}

// names is what no identifier and no file is called: words that say nothing.
var names = regexp.MustCompile(`(?i)(util|utils|manager|impl|misc)$`)

// phrases are those of prose. A token is a bearer token: what PKCS#11 calls so is an
// HSM.
var phrases = map[*regexp.Regexp]string{
	regexp.MustCompile(`(?i)\bPKCS#11 tokens?\b`):                          "HSM",
	regexp.MustCompile(`(?i)\bHSM('s)? tokens?\b`):                         "HSM",
	regexp.MustCompile(`(?i)\bkeys? (is |are )?(in|into) (the|a) token\b`): "in the HSM",
}

// TestWordsAreTheFieldsOwn reads names, comments, documents and names of files. Texts
// of the wire are not looked at: they never change.
func TestWordsAreTheFieldsOwn(t *testing.T) {
	sources(t, []string{".go"}, func(path string, text []byte) {
		checkName(t, path, 1, strings.TrimSuffix(filepath.Base(path), ".go"))
		if path == "words_test.go" {
			return
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		for _, group := range file.Comments {
			checkProse(t, path, fset.Position(group.Pos()).Line, group.Text())
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				checkName(t, path, fset.Position(id.Pos()).Line, id.Name)
			}
			return true
		})
	})
	sources(t, []string{".md", ".txtar", ".sh", ".js", ".java", ".py"}, func(path string, text []byte) {
		if strings.HasPrefix(path, filepath.Join("docs", "contract")) {
			return // it quotes
		}
		n := 0
		for line := range bytes.Lines(text) {
			n++
			if filepath.Ext(path) == ".txtar" && !bytes.HasPrefix(line, []byte("-- ")) {
				continue
			}
			checkProse(t, path, n, string(line))
		}
	})
}

func checkName(t *testing.T, path string, line int, name string) {
	t.Helper()
	checkWords(t, path, line, name)
	if m := names.FindString(name); m != "" {
		t.Errorf("%s:%d: %q: the name of the thing", path, line, name)
	}
}

func checkProse(t *testing.T, path string, line int, text string) {
	t.Helper()
	checkWords(t, path, line, text)
	text = strings.Join(strings.Fields(text), " ")
	for phrase, instead := range phrases {
		if m := phrase.FindString(text); m != "" {
			t.Errorf("%s:%d: %q: say %q", path, line, m, instead)
		}
	}
}

// checkWords looks at the words of a text; newBornKey is three.
func checkWords(t *testing.T, path string, line int, text string) {
	t.Helper()
	start, last := 0, rune(0)
	word := func(end int) {
		w := strings.ToLower(text[start:end])
		if instead := words[w]; instead != "" {
			t.Errorf("%s:%d: %q: say %q", path, line, w, instead)
		}
	}
	for i, r := range text {
		if !unicode.IsLetter(r) || unicode.IsUpper(r) && unicode.IsLower(last) || !unicode.IsLetter(last) {
			word(i)
			start = i
			if !unicode.IsLetter(r) {
				start = i + utf8.RuneLen(r)
			}
		}
		last = r
	}
	word(len(text))
}

// TestEveryPackageSaysItsJob: doc.go says what a package does, and what it leaves to
// others.
func TestEveryPackageSaysItsJob(t *testing.T) {
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.ImportPath == "coffer" {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(p.path(), "doc.go"), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Error(err)
			continue
		}
		if text := file.Doc.Text(); strings.Count(text, ".")+strings.Count(text, ":") < 2 {
			t.Errorf("%s: doc.go says no more than %q: say the package's one job and what it leaves to others", p.path(), strings.TrimSpace(text))
		}
	}
}
