package coffer_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxMethods is how many methods an interface declares at most: beyond that nobody
// implements it but one, and no function needs all of it. Unions of small ones are
// embedded.
const maxMethods = 12

// foreign interfaces are as wide as what others have specified.
var foreign = []string{"internal/hsm.cryptoki"}

func TestInterfacesAreSmallWhereTheyAreDeclared(t *testing.T) {
	seen := 0
	for path, file := range programFiles(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			it, ok := spec.Type.(*ast.InterfaceType)
			if !ok {
				return true
			}
			seen++
			own := 0
			for _, m := range it.Methods.List {
				own += len(m.Names)
			}
			name := filepath.ToSlash(filepath.Dir(path)) + "." + spec.Name.Name
			if own > maxMethods && !slices.Contains(foreign, name) {
				t.Errorf("%s declares %d methods: cut it into sets that functions need, and embed them", name, own)
			}
			return true
		})
	}
	if seen < 20 {
		t.Errorf("only %d interfaces were seen", seen)
	}
}

// store.For asserts at run time that a transaction fits what a domain declares; this
// holds that the compiler has seen it, too.
func TestTheStoreIsShownToFitEveryDomain(t *testing.T) {
	text, err := os.ReadFile("internal/store/store.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^\t_ (\w+\.Tx|\w+\.\w+Tx) += \(\*Tx\)\(nil\)$`).FindAllStringSubmatch(string(text), -1)
	fits := map[string]bool{}
	for _, m := range shown {
		fits[m[1]] = true
	}
	used := 0
	for path, file := range programFiles(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			index, ok := n.(*ast.IndexExpr)
			if !ok || dotted(index.X) != "store.For" {
				return true
			}
			used++
			if tx := dotted(index.Index); !fits[tx] {
				t.Errorf("%s narrows the database to %s: internal/store/store.go must show that *Tx implements it", path, tx)
			}
			return true
		})
	}
	if used < 5 {
		t.Errorf("only %d uses of store.For were seen", used)
	}
}

// dotted is package.Name, "" for anything else.
func dotted(e ast.Expr) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + s.Sel.Name
}

// programFiles are the files of the program, without tests and packages for tests.
func programFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	fset := token.NewFileSet()
	for _, root := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				strings.HasSuffix(filepath.Dir(path), "test") {
				return err
			}
			files[path], err = parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}
