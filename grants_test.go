package coffer_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// grantless are the exported methods of rules that change what is stored and demand
// no grant, or types of which that is true, with the reason why.
var grantless = map[string]string{
	"certificate.Service.Issue":    "a job, whose certificate was granted when it was created; its end is attempted as the vault's own work",
	"certificate.Service.PurgeDue": "the retention is over; each purge is attempted as the vault's own work",
	"key.Custody":                  "the keys of a rule that was granted; it stores no more than the jobs that destroy them",
	"key.Generator":                "the workers' queue; it stores nothing",
	"key.Service.Announce":         "a job: it tells of an expiry and completes itself",
	"key.Service.DestroyInHSM":     "a job: it destroys what nothing holds",
	"key.Service.PurgeDue":         "as of certificates",
	"key.Service.RotateDue":        "a job of the key's policy, whose setting was granted; attempted as the vault's own work",
	"secret.Service.PurgeDue":      "as of certificates",
	"token.Service.KeySet":         "everybody may read it; it makes the signing key that is due by its period",
	"token.Service.Mint":           "the principal has proved itself, which the login door records; it makes the signing key that is due by its period",
}

// doors make attempts and hand grants on; they are not rules.
var doors = []string{"internal/access", "internal/keyvault", "internal/admin", "internal/login", "internal/daemon"}

// below is what rules call that have checked the grant: only they may import it.
const below = "internal/lifecycle"

// ruleFunc is a function of a package of rules.
type ruleFunc struct {
	decl  *ast.FuncDecl
	where string
	grant string          // the name of its parameter that is a grant; "" for none
	calls map[string]bool // what it mentions: functions, Type.Method, and .Method of whatever type
	write bool            // it begins a transaction that writes
}

// ruleFuncs are the functions of a package, by name; methods as Type.Name.
func ruleFuncs(t *testing.T, dir string) map[string]*ruleFunc {
	fset := token.NewFileSet()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	funcs := map[string]*ruleFunc{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.FuncDecl)
			if !ok || decl.Body == nil {
				continue
			}
			f := &ruleFunc{decl: decl, where: fset.Position(decl.Pos()).String(), calls: map[string]bool{}}
			for _, p := range decl.Type.Params.List {
				if isSelector(p.Type, "access", "Grant") && len(p.Names) > 0 {
					f.grant = p.Names[0].Name
				}
			}
			name, self, typ := decl.Name.Name, "", ""
			if decl.Recv != nil {
				self, typ = receiver(decl)
				name = typ + "." + name
			}
			ast.Inspect(decl.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					f.calls[n.Name] = true
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == self {
						f.calls[typ+"."+n.Sel.Name] = true
					} else {
						f.calls["."+n.Sel.Name] = true
					}
				case *ast.CallExpr:
					f.write = f.write || isUpdate(n)
				}
				return true
			})
			funcs[name] = f
		}
	}
	return funcs
}

func isSelector(e ast.Expr, of, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == of
}

// isUpdate recognises db.Update(ctx, fn), s.cfg.DB.Update(ctx, fn) and the like.
func isUpdate(call *ast.CallExpr) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Update" && len(call.Args) == 2
}

// receiver gives the name and the type of a method's receiver.
func receiver(f *ast.FuncDecl) (name, typ string) {
	r := f.Recv.List[0]
	if len(r.Names) > 0 {
		name = r.Names[0].Name
	}
	e := r.Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if generic, ok := e.(*ast.IndexExpr); ok {
		e = generic.X
	}
	if id, ok := e.(*ast.Ident); ok {
		typ = id.Name
	}
	return name, typ
}

// beginsWithMust reports whether the first statement is g.Must(access.X, ...), or
// g.MustEverywhere of the same.
func (f *ruleFunc) beginsWithMust() bool {
	if len(f.decl.Body.List) == 0 {
		return false
	}
	s, ok := f.decl.Body.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := s.X.(*ast.CallExpr)
	if !ok || !isSelector(call.Fun, f.grant, "Must") && !isSelector(call.Fun, f.grant, "MustEverywhere") {
		return false
	}
	for _, a := range call.Args {
		if s, ok := a.(*ast.SelectorExpr); !ok || !isSelector(a, "access", s.Sel.Name) {
			return false
		}
	}
	return len(call.Args) > 0
}

// spread marks the functions that reach a writing transaction by what they mention
// of their package, and of the lower one. Types are not known, so that it marks too many rather than too
// few.
func spread(funcs map[string]*ruleFunc, lower map[string]*ruleFunc) {
	for name, g := range lower {
		if _, method, _ := strings.Cut(name, "."); g.write && ast.IsExported(method) {
			for _, f := range funcs {
				f.write = f.write || f.calls["."+method]
			}
		}
	}
	for grown := true; grown; {
		grown = false
		for _, f := range funcs {
			if f.write {
				continue
			}
			for name, g := range funcs {
				_, method, _ := strings.Cut(name, ".")
				if g.write && (f.calls[name] || method != "" && f.calls["."+method]) {
					f.write, grown = true, true
					break
				}
			}
		}
	}
}

func TestRulesDemandAGrant(t *testing.T) {
	lower := ruleFuncs(t, below)
	spread(lower, nil)
	rules, demanding, used := rulePackages(t), 0, map[string]bool{}
	for _, dir := range rules {
		funcs := ruleFuncs(t, dir)
		spread(funcs, lower)
		for _, name := range slices.Sorted(maps.Keys(funcs)) {
			f := funcs[name]
			typ, _, method := strings.Cut(name, ".")
			switch {
			case !f.decl.Name.IsExported() || method && !ast.IsExported(typ):
			case f.grant != "":
				demanding++
				if !f.beginsWithMust() {
					t.Errorf("%s: %s takes a grant and does not begin with %s.Must(access. ...)", f.where, name, f.grant)
				}
			case method && f.write:
				pkg := strings.TrimPrefix(dir, "internal/") + "."
				switch {
				case grantless[pkg+typ] != "":
					used[pkg+typ] = true
				case grantless[pkg+name] != "":
					used[pkg+name] = true
				default:
					t.Errorf("%s: %s%s changes what is stored and demands no grant: demand one, or say in grantless why it needs none", f.where, pkg, name)
				}
			}
		}
	}
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if slices.Contains(p.Imports, "coffer/"+below) && !slices.Contains(rules, p.path()) {
			t.Errorf("%s must not import %s, which checks no grant", p.path(), below)
		}
	}
	for name := range grantless {
		if !used[name] {
			t.Errorf("grantless has %s, which is not there, or changes nothing, or demands a grant", name)
		}
	}
	if demanding < 80 {
		t.Errorf("only %d methods demand a grant", demanding)
	}
}

// rulePackages are the packages with a function that takes a grant, without doors.
func rulePackages(t *testing.T) (dirs []string) {
	err := filepath.WalkDir("internal", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || slices.Contains(doors, path) || path == below || strings.HasSuffix(path, "test") || d.Name() == "testdata" {
			return err
		}
		for _, f := range ruleFuncs(t, path) {
			if f.grant != "" {
				dirs = append(dirs, path)
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}
