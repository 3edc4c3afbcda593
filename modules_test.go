package coffer_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// modules is which package may import which module of others: a dependency is a
// party that we trust, each with as few places as it needs. Packages for tests may
// import all of them.
var modules = map[string][]string{
	"github.com/Azure/azure-sdk-for-go/sdk/azcore":                           {"cmd/coffer"},
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity":                       {"cmd/coffer"},
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates": {"cmd/coffer"},
	"github.com/KimMachineGun/automemlimit":                                  {"internal/daemon"},
	"github.com/pires/go-proxyproto":                                         {"internal/throttle"},
	"github.com/alecthomas/kong":                                             {"cmd/coffer"},
	"github.com/decred/dcrd/dcrec/secp256k1/v4":                              {"internal/pki", "internal/hsm"}, // P-256K
	"github.com/go-jose/go-jose/v4":                                          {"internal/authn", "internal/token"},
	"github.com/jackc/pgx/v5":                                                {"internal/store"},
	"github.com/miekg/pkcs11":                                                {"internal/hsm"},
	"github.com/pressly/goose/v3":                                            {"internal/store"},
	"github.com/trustelem/zxcvbn":                                            {"internal/seal"}, // the floor of passphrases
	"go.yaml.in/yaml/v3":                                                     {"internal/config"},
	"golang.org/x/crypto":                                                    {"internal/bundle", "internal/hsm", "internal/pkcs12", "internal/pki", "internal/seal"},
	"golang.org/x/sync":                                                      {"internal/authn", "internal/daemon"},
	"golang.org/x/sys":                                                       {"internal/admin", "internal/compute", "internal/datadir", "internal/system"},
	"golang.org/x/time":                                                      {"internal/fresh", "internal/login", "internal/throttle"},
	"modernc.org/sqlite":                                                     {"internal/store"},
}

// oracles are the modules that only tests import: other implementations to compare
// with, and tools of testing.
var oracles = []string{
	"github.com/c2sp/wycheproof",
	"github.com/coreos/go-oidc/v3",
	"github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal",
	"github.com/smallstep/pkcs7",
	"github.com/zmap/zcrypto",
	"github.com/zmap/zlint/v3",
	"golang.org/x/tools",
	"pgregory.net/rapid",

	"software.sslmate.com/src/go-pkcs12",
}

// transports is where packages of the standard library may be imported that bind to
// a transport, a database or a process: rules and mechanisms know of none.
var transports = map[string][]string{
	"database/sql": {"internal/store"},
	"net/http": {
		"internal/rest", "internal/pipeline", "internal/keyvault", "internal/login", "internal/admin", "internal/daemon", "cmd/coffer", "bench",
		"internal/authn", // fetches the keys of other issuers
		"internal/audit", // the names of statuses
	},
	"os/exec": {"cmd/coffer", "bench"},
	"testing": {},
}

func TestModulesAreImportedOnlyWhereTheTableAllows(t *testing.T) {
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string][]string{}
	for _, p := range all {
		if p.isTest() {
			continue
		}
		for _, i := range p.Imports {
			if places, ok := transports[i]; ok && !slices.Contains(places, p.path()) {
				t.Errorf("%s must not import %s, which %v may", p.path(), i, places)
			}
			if strings.HasSuffix(i, "test") && strings.HasPrefix(i, "coffer/") {
				t.Errorf("%s must not import %s, which is for tests", p.path(), i)
			}
			if first, _, _ := strings.Cut(i, "/"); !strings.Contains(first, ".") {
				continue // the standard library, or ours
			}
			module := moduleOf(i)
			used[module] = append(used[module], p.path())
			if !slices.Contains(modules[module], p.path()) {
				t.Errorf("%s must not import %s: the table of modules allows it %v", p.path(), i, modules[module])
			}
		}
	}
	for module, places := range modules {
		for _, path := range places {
			if !slices.Contains(used[module], path) {
				t.Errorf("the table of modules lets %s import %s, which it does not", path, module)
			}
		}
	}
}

// moduleOf is the module of the tables that holds a package.
func moduleOf(path string) string {
	longest := ""
	for module := range modules {
		if (path == module || strings.HasPrefix(path, module+"/")) && len(module) > len(longest) {
			longest = module
		}
	}
	if longest == "" {
		return path
	}
	return longest
}

// A new dependency in go.mod needs a line in one of the tables.
func TestEveryModuleHasAPlace(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	known := slices.Clone(oracles)
	for module := range modules {
		known = append(known, module)
	}
	required := 0
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		required++
		if !slices.Contains(known, r.Path) {
			t.Errorf("go.mod requires %s: say in modules who may import it, or in oracles that only tests do", r.Path)
		}
	}
	if required != len(known) {
		t.Errorf("go.mod requires %d modules, the tables have %d", required, len(known))
	}
}
