// Package coffer_test checks what holds for the whole tree.
package coffer_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers is the table of docs/architecture.md: what each package of ours may
// import of ours. "*" allows everything that is not an adapter or the wiring.
var layers = map[string][]string{
	// words
	"object": {},
	"fault":  {},
	"guid":   {},
	// codecs
	"pki":        {},
	"pkcs12":     {"pkcs12/ber", "pkcs12/rc2"},
	"pkcs12/ber": {},
	"pkcs12/rc2": {},
	"bundle":     {"pkcs12", "pkcs12/ber"},
	// mechanisms
	"recent":    {},
	"audience":  {},
	"seal":      {"object"},
	"vault":     {"object", "fault"},
	"audit":     {},
	"throttle":  {},
	"access":    {"object", "fault", "vault", "audit"},
	"directory": {"object", "fault", "guid", "recent"},
	"token":     {"object", "guid", "seal", "directory"},
	"authn":     {"object", "access", "audience", "directory", "guid", "recent", "token"},
	"jobs":      {"object"},
	"backup":    {"object", "fault", "seal"},
	"hsm":       {"object", "fault", "pki", "seal"},
	// rules
	"key":         {"object", "fault", "pki", "seal", "hsm", "vault", "access", "jobs", "backup"},
	"secret":      {"object", "fault", "seal", "vault", "access", "backup"},
	"issuance":    {"object", "fault", "pki", "seal", "hsm"},
	"certificate": {"object", "fault", "pki", "bundle", "seal", "hsm", "vault", "access", "jobs", "backup", "key", "secret", "issuance"},
	"management":  {"object", "fault", "vault", "audit", "access"},
	// adapters
	"store":             {"*"},
	"keyvault":          {"*"},
	"login":             {"*"},
	"admin":             {"*"},
	"issuer/selfsigned": {"issuance", "pki"},
	// wiring
	"config":     {"vault"},
	"servercert": {},
}

// wiring may import everything.
var wiring = []string{"internal/daemon", "cmd/coffer", "bench"}

var adapters = []string{"store", "keyvault", "login", "admin"}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(p.ImportPath, "coffer/")
		if slices.Contains(wiring, path) || strings.HasSuffix(path, "test") || path == "coffer" {
			continue
		}
		seen++
		name := strings.TrimPrefix(path, "internal/")
		allowed, ok := layers[name]
		if !ok {
			t.Errorf("%s is not in the table of imports: give it a place there and in docs/architecture.md", path)
			continue
		}
		for _, i := range p.Imports {
			if of, ours := strings.CutPrefix(i, "coffer/internal/"); ours && !permitted(allowed, of) {
				t.Errorf("%s must not import %s: the table of imports allows it %v", path, of, allowed)
			}
		}
	}
	if seen < len(layers) {
		t.Errorf("go list showed %d packages, the table has %d", seen, len(layers))
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
