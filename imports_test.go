// Package coffer_test checks what holds for the whole tree.
package coffer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// layers is the table of docs/architecture.md: what each package of ours may
// import of ours. "*" allows everything that is not an adapter or the wiring.
var layers = map[string][]string{
	// words
	"object":   {},
	"fault":    {},
	"fips":     {},
	"guid":     {"fips"},
	"spelling": {},
	// codecs
	"pki":        {"fips"},
	"pkcs12":     {"fips", "pkcs12/ber", "pkcs12/rc2"},
	"pkcs12/ber": {},
	"pkcs12/rc2": {},
	"bundle":     {"pkcs12", "pkcs12/ber"},
	// mechanisms
	"datadir":    {},
	"tlsprofile": {},
	"system":     {},
	"fresh":      {},
	"audience":   {},
	"seal":       {"fips", "object", "fault"},
	"vault":      {"object", "fault", "fresh"},
	"audit":      {"object", "throttle"},
	"throttle":   {},
	"health":     {},
	"access":     {"guid", "object", "fault", "fresh", "vault", "audit"},
	"directory":  {"object", "fault", "guid", "fresh", "seal", "access", "audit"},
	"token":      {"object", "fault", "guid", "fresh", "seal", "access", "audit", "directory"},
	"authn":      {"fips", "object", "access", "audience", "directory", "guid", "fresh", "token"},
	"jobs":       {"object"},
	"outbox":     {"object", "jobs"},
	"backup":     {"object", "fault", "seal"},
	"hsm":        {"object", "fault", "pki", "seal"},
	// rules
	"lifecycle":   {"object", "fault", "vault", "access"},
	"key":         {"fips", "object", "fault", "fresh", "pki", "seal", "hsm", "vault", "audit", "access", "jobs", "backup", "lifecycle", "outbox", "compute"},
	"secret":      {"object", "fault", "fresh", "seal", "vault", "audit", "access", "backup", "lifecycle", "outbox", "compute"},
	"issuance":    {"fips", "object", "fault", "pki", "seal", "hsm"},
	"certificate": {"fips", "object", "fault", "pki", "bundle", "seal", "hsm", "vault", "audit", "access", "jobs", "backup", "lifecycle", "outbox", "key", "secret", "issuance", "compute"},
	"management":  {"object", "fault", "spelling", "vault", "audit", "access"},
	// frame of the doors
	"budget":   {},
	"compute":  {},
	"rest":     {"object", "fault", "seal"},
	"pipeline": {"object", "fault", "vault", "audit", "access", "authn", "throttle", "budget", "rest", "compute"},
	// adapters
	"store":             {"*"},
	"keyvault":          {"*"},
	"login":             {"*"},
	"admin":             {"*"},
	"issuer/selfsigned": {"issuance", "seal"},
	// wiring
	"config":     {"fips", "guid", "seal", "spelling", "vault"},
	"servercert": {"seal"},
}

// wiring may import everything.
var wiring = []string{"internal/daemon", "cmd/coffer", "bench"}

var adapters = []string{"store", "keyvault", "login", "admin"}

// listed is a package as go list tells it.
type listed struct {
	ImportPath string
	Imports    []string
}

// path is the package below the module: internal/key.
func (p listed) path() string { return strings.TrimPrefix(p.ImportPath, "coffer/") }

// isTest tells packages for tests (storetest, accesstest) and this one.
func (p listed) isTest() bool {
	return strings.HasSuffix(p.ImportPath, "test") || p.ImportPath == "coffer"
}

// builds are all the ways in which files are chosen: by tag, and by system.
// TestBuildConstraintsAreKnown keeps it complete.
var builds = [][]string{{"GOFLAGS="}, {"GOFLAGS=-tags=hsm", "CGO_ENABLED=1"}, {"GOFLAGS=", "GOOS=darwin", "CGO_ENABLED=0"}}

// packages lists the packages of ours with what they import in any build.
var packages = sync.OnceValues(func() ([]listed, error) {
	imports := map[string][]string{}
	for _, env := range builds {
		cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
		cmd.Env = append(os.Environ(), env...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go list with %v: %w", env, err)
		}
		for dec := json.NewDecoder(bytes.NewReader(out)); ; {
			var p listed
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			imports[p.ImportPath] = append(imports[p.ImportPath], p.Imports...)
		}
	}
	var all []listed
	for _, path := range slices.Sorted(maps.Keys(imports)) {
		slices.Sort(imports[path])
		all = append(all, listed{path, slices.Compact(imports[path])})
	}
	return all, nil
})

func TestBuildConstraintsAreKnown(t *testing.T) {
	constraint := regexp.MustCompile(`(?m)^//go:build (.*)$`)
	sources(t, []string{".go"}, func(path string, text []byte) {
		for _, m := range constraint.FindAllSubmatch(text, -1) {
			switch c := string(m[1]); c {
			case "hsm", "!hsm", "linux", "!linux":
			default:
				t.Errorf("%s is built when %q: add a build to the table of builds", path, c)
			}
		}
		for _, system := range []string{"windows", "darwin", "unix", "amd64", "arm64"} {
			if name := strings.TrimSuffix(strings.TrimSuffix(path, ".go"), "_test"); strings.HasSuffix(name, "_"+system) {
				t.Errorf("%s is built for %s only: add a build to the table of builds", path, system)
			}
		}
	})
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range all {
		if slices.Contains(wiring, p.path()) || p.isTest() {
			continue
		}
		seen++
		allowed, ok := layers[strings.TrimPrefix(p.path(), "internal/")]
		if !ok {
			t.Errorf("%s is not in the table of imports: give it a place there and in docs/architecture.md", p.path())
			continue
		}
		for _, i := range p.Imports {
			if of, ours := strings.CutPrefix(i, "coffer/internal/"); ours && !permitted(allowed, of) {
				t.Errorf("%s must not import %s: the table of imports allows it %v", p.path(), of, allowed)
			}
		}
	}
	if seen != len(layers) {
		t.Errorf("go list showed %d packages, the table has %d", seen, len(layers))
	}
}

// The table of docs/architecture.md has each package, those below another with it.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range layers {
		if name, _, _ = strings.Cut(name, "/"); !bytes.Contains(text, []byte("`"+name+"`")) && !bytes.Contains(text, []byte("`"+name+"/...`")) {
			t.Errorf("docs/architecture.md does not say what %s is", name)
		}
	}
}

func permitted(allowed []string, of string) bool {
	if slices.Contains(allowed, of) {
		return true
	}
	isWiring := of == "daemon" || of == "config" || of == "servercert"
	isAdapter := slices.Contains(adapters, of) || strings.HasPrefix(of, "issuer/")
	return slices.Contains(allowed, "*") && !isWiring && !isAdapter
}
