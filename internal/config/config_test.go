package config

import (
	"bytes"
	"coffer/internal/seal"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// good is a configuration without a mistake.
func good() *Config {
	return &Config{Listen: "127.0.0.1:8443", Suffix: "vault.example.test", Tenant: "8c2f6b1e-0000-4000-8000-000000000000"}
}

func TestEveryMistakeIsNamed(t *testing.T) {
	minute := func(d time.Duration) *Duration { return new(Duration(d)) }
	for _, c := range []struct {
		want   string // the only line of the error; "" for none
		change func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.Listen = ":0" }},
		{"", func(c *Config) { c.Listen = "[::1]:443" }},
		{"listen: must be host:port, such as 127.0.0.1:8443 or :443", func(c *Config) { c.Listen = "127.0.0.1" }},
		{"listen: must be host:port, such as 127.0.0.1:8443 or :443", func(c *Config) { c.Listen = "" }},
		{"listen: must be host:port, such as 127.0.0.1:8443 or :443", func(c *Config) { c.Listen = "localhost:http" }},
		{"", func(c *Config) { c.URL = "https://login.example.test:8443/" }},
		{"url: must be https://host or https://host:port", func(c *Config) { c.URL = "http://login.example.test" }},
		{"url: must be https://host or https://host:port", func(c *Config) { c.URL = "https://" }},
		{"url: must be https://host or https://host:port", func(c *Config) { c.URL = "https://a/b" }},
		{"url: must be https://host or https://host:port", func(c *Config) { c.URL = "https://a?b" }},
		{"url: must be https://host or https://host:port", func(c *Config) { c.URL = "https://a#b" }},
		{"url: must be https://host or https://host:port", func(c *Config) { c.URL = "https://me:secret@a" }},
		{"url: must be https://host or https://host:port", func(c *Config) { c.URL = "https://a:b:c" }},
		{"suffix: must be a DNS name in lower case, such as vault.example.net", func(c *Config) { c.Suffix = "" }},
		{"suffix: must be a DNS name in lower case, such as vault.example.net", func(c *Config) { c.Suffix = "Vault.example" }},
		{"suffix: must be a DNS name in lower case, such as vault.example.net", func(c *Config) { c.Suffix = "vault..example" }},
		{"suffix: must be a DNS name in lower case, such as vault.example.net", func(c *Config) { c.Suffix = "-a.example" }},
		{"suffix: must be a DNS name in lower case, such as vault.example.net", func(c *Config) { c.Suffix = "vault.example.test:8443" }},
		{"suffix: must be a DNS name in lower case, such as vault.example.net", func(c *Config) { c.Suffix = strings.Repeat("abcdefg.", 30) + "test" }},
		{"suffix: needs a dot: clients check that a vault's host ends in it", func(c *Config) { c.Suffix = "localhost" }},
		{"tenant: must be a GUID; coffer init makes one", func(c *Config) { c.Tenant = "adfs" }},
		{"tenant: must be a GUID; coffer init makes one", func(c *Config) { c.Tenant += "0" }},
		{"default_vault: is not a vault name", func(c *Config) { c.DefaultVault = "9" }},
		{"", func(c *Config) { c.DefaultVault = "main" }},
		{"store.driver: must be sqlite or postgres", func(c *Config) { c.Store.Driver = "SQLite" }},
		{"store.url_file: goes with driver postgres only", func(c *Config) { c.Store.URLFile = "x" }},
		{"store.insecure: goes with driver postgres only", func(c *Config) { c.Store.Insecure = true }},
		{"store.path: goes with driver sqlite only", func(c *Config) { c.Store = Store{Driver: "postgres", Path: "x"} }},
		{"store.max_age: goes with driver postgres only: with sqlite every read is of now", func(c *Config) { c.Store.MaxAge = 1 }},
		{"store.max_age: must be 0s to 2s", func(c *Config) { c.Store = Store{Driver: "postgres", MaxAge: Duration(2*time.Second + 1)} }},
		{"store.max_age: must be 0s to 2s", func(c *Config) { c.Store = Store{Driver: "postgres", MaxAge: -1} }},
		{"", func(c *Config) { c.Store = Store{Driver: "postgres", MaxAge: Duration(2 * time.Second)} }},
		{"", func(c *Config) { c.HSM = HSM{Module: "x", Token: "y", Serial: "1", PINFile: "p", Sessions: 1024} }},
		{"hsm.module: is the path of the HSM's PKCS#11 library; without it there is no HSM", func(c *Config) { c.HSM.PINFile = "p" }},
		{"hsm.token: must be the token label of the HSM", func(c *Config) { c.HSM.Module = "x" }},
		{"hsm.sessions: must be 0 to 1024", func(c *Config) { c.HSM = HSM{Module: "x", Token: "y", Sessions: 1025} }},
		{"", func(c *Config) { c.HSM, c.RootKey.HSM = HSM{Module: "x", Token: "y"}, true }},
		{"root_key.hsm: needs an HSM in hsm", func(c *Config) { c.RootKey.HSM = true }},
		{"root_key.hsm: goes without path and passphrase_file: there is no file", func(c *Config) {
			c.HSM, c.RootKey = HSM{Module: "x", Token: "y"}, RootKey{Path: "p", HSM: true}
		}},
		{"memory.lock: must be one of auto, on, off", func(c *Config) { c.Memory.Lock = "yes" }},
		{"", func(c *Config) { c.Memory.Lock = "on" }},
		{"tls: certificate and key go together", func(c *Config) { c.TLS.Key = "x" }},
		{"tls: certificate and key go together", func(c *Config) { c.TLS.Certificate = "x" }},
		{"tls.names: goes with Coffer's own certificate only", func(c *Config) { c.TLS = TLS{"x", "y", []string{"a.test"}} }},
		{"", func(c *Config) { c.TLS.Names = []string{"a", "*.B.test", "192.0.2.7", "2001:db8::1"} }},
		{"tls.names[1]: must be a DNS name or an IP address", func(c *Config) { c.TLS.Names = []string{"a", ""} }},
		{"tls.names[0]: must be a DNS name or an IP address", func(c *Config) { c.TLS.Names = []string{"https://a"} }},
		{"tls.names[0]: must be a DNS name or an IP address", func(c *Config) { c.TLS.Names = []string{"a.*.test"} }},
		{"audit.unauthenticated: must be one of with-token, all, none", func(c *Config) { c.Audit.Unauthenticated = "some" }},
		{"audit.max_megabytes: must be 0 to 1000000", func(c *Config) { c.Audit.MaxMegabytes = -1 }},
		{"audit.max_megabytes: must be 0 to 1000000", func(c *Config) { c.Audit.MaxMegabytes = 1_000_001 }},
		{"connections.max: must be 0 to 1000000", func(c *Config) { c.Connections.Max = -1 }},
		{"connections.max: must be 0 to 1000000", func(c *Config) { c.Connections.Max = 1_000_001 }},
		{"connections.per_address: must be 0 to connections.max", func(c *Config) { c.Connections.PerAddress = -1 }},
		{"connections.per_address: must be 0 to connections.max", func(c *Config) { c.Connections.PerAddress = 4097 }},
		{"", func(c *Config) { c.Connections = Connections{Max: 10, PerAddress: 10} }},
		{"", func(c *Config) { c.Connections.PerAddress = 4096 }},
		{"", func(c *Config) {
			c.Connections.ProxyFrom = []string{"10.0.0.5", "10.0.0.0/29", "2001:db8::/64", "::ffff:10.0.0.1"}
		}},
		{"connections.proxy_from[1]: must be the address of a load balancer or a CIDR of such, and not everybody's, such as 10.0.0.5 or 10.0.0.0/29",
			func(c *Config) { c.Connections.ProxyFrom = []string{"10.0.0.5", "lb.example"} }},
		{"connections.proxy_from[0]: must be the address of a load balancer or a CIDR of such, and not everybody's, such as 10.0.0.5 or 10.0.0.0/29",
			func(c *Config) { c.Connections.ProxyFrom = []string{"0.0.0.0/0"} }},
		{"connections.proxy_from[0]: must be the address of a load balancer or a CIDR of such, and not everybody's, such as 10.0.0.5 or 10.0.0.0/29",
			func(c *Config) { c.Connections.ProxyFrom = []string{"::ffff:0.0.0.0/90"} }},
		{"certificates.self_signed_delay: must be 0s to 1m", func(c *Config) { c.Certificates.SelfSignedDelay = minute(-1) }},
		{"certificates.self_signed_delay: must be 0s to 1m", func(c *Config) { c.Certificates.SelfSignedDelay = minute(61 * time.Second) }},
		{"", func(c *Config) { c.Certificates.SelfSignedDelay = minute(0) }},
		{"certificates.pkcs12: must be one of legacy, modern", func(c *Config) { c.Certificates.PKCS12 = "new" }},
		{"certificates.key_workers: must be 0 to 256", func(c *Config) { c.Certificates.KeyWorkers = 257 }},
		{"certificates.key_workers: must be 0 to 256", func(c *Config) { c.Certificates.KeyWorkers = -1 }},
		{"identity.challenge_tenant: must be adfs or the tenant", func(c *Config) { c.Identity.ChallengeTenant = "common" }},
		{"", func(c *Config) { c.Identity.ChallengeTenant = strings.ToUpper(c.Tenant) }},
		{"identity.issuers[0].issuer: must be an https URL without query and fragment", func(c *Config) { c.Identity.Issuers = []Issuer{{Issuer: "http://a"}} }},
		{"identity.issuers[0].issuer: must be an https URL without query and fragment", func(c *Config) { c.Identity.Issuers = []Issuer{{Issuer: "https://a?b"}} }},
		{"identity.issuers[1].issuer: is named twice", func(c *Config) { c.Identity.Issuers = []Issuer{{Issuer: "https://a/b"}, {Issuer: "https://a/b"}} }},
		{"identity.issuers[0].jwks_uri: must be an https URL", func(c *Config) { c.Identity.Issuers = []Issuer{{Issuer: "https://a", JWKSURI: "file:///etc"}} }},
		{"identity.issuers[0].ids: must be one of derived, own", func(c *Config) { c.Identity.Issuers = []Issuer{{Issuer: "https://a", IDs: "mine"}} }},
		{"identity.issuers[0].claims.role: is not one of object_id, app_id, groups", func(c *Config) {
			c.Identity.Issuers = []Issuer{{Issuer: "https://a", Claims: map[string]string{"role": "r", "groups": "g"}}}
		}},
		{"trusted_callers[1]: must be an object id (GUID)", func(c *Config) { c.TrustedCallers = []string{c.Tenant, "me"} }},
		{"log.level: must be one of debug, info, warn, error", func(c *Config) { c.Log.Level = "all" }},
		{"log.format: must be one of json, text", func(c *Config) { c.Log.Format = "xml" }},
	} {
		cfg := good()
		c.change(cfg)
		got := ""
		if err := cfg.Check(); err != nil {
			got = strings.TrimSpace(err.Error())
		}
		if got != c.want {
			t.Errorf("%+v\n got %q\nwant %q", *cfg, got, c.want)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	text := `listen: nowhere
colour: blue
lisen: x
suffix: localhost
tenant: x
audit: {paht: x, max_megabytes: many}
certificates: {self_signed_delay: soon}
log: {level: loud}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	if err == nil {
		t.Fatal("it was accepted")
	}
	want := []string{
		path + ":",
		"line 2: the key 'colour' is unknown",
		"line 3: the key 'lisen' is unknown. Did you mean 'listen'?",
		"line 6: the key 'paht' is unknown. Did you mean 'path'?",
		"line 6: cannot unmarshal !!str `many` into int",
		`line 7: "soon" is not a duration such as 1s or 250ms`,
		"listen: must be host:port, such as 127.0.0.1:8443 or :443",
		"suffix: needs a dot: clients check that a vault's host ends in it",
		"tenant: must be a GUID; coffer init makes one",
		"log.level: must be one of debug, info, warn, error",
	}
	var got []string
	for line := range strings.Lines(err.Error()) {
		got = append(got, strings.TrimSpace(line))
	}
	if d := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestFilesThatAreNoConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "suffix: must be a DNS name",
		"[":                          "did not find expected node content",
		"- a\n":                      "cannot unmarshal",
		"a: *b\n":                    "unknown anchor",
		"listen: a:1\nlisten: b:1":   "already defined",
		"---\na: 1\n---\nb: 2\n":     "the key 'a' is unknown",
		strings.Repeat("#", 1<<20+1): "is larger than 1048576 bytes",
		"listen: :1\nsuffix: a.b\ntenant: 8c2f6b1e-0000-4000-8000-000000000000\n---\nx: 1\n": "more than one document",
	} {
		path := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestSavedSettingsAreLoadedAgain(t *testing.T) {
	c := good()
	c.Data, c.URL, c.DefaultVault = "/var/lib/coffer", "https://login.example.test", "main"
	c.Store = Store{Driver: "postgres", URLFile: "postgres.url"}
	c.RootKey = RootKey{Path: "k", PassphraseFile: "p"}
	c.HSM = HSM{Module: "m", Token: "t", Serial: "0123", PINFile: "pin", Sessions: 4}
	c.TLS = TLS{Certificate: "c.pem", Key: "k.pem"}
	c.Connections = Connections{Max: 10, PerAddress: 5, ProxyFrom: []string{"10.0.0.5"}}
	c.Audit = Audit{Path: "a", Unauthenticated: "all", MaxMegabytes: 3}
	c.Certificates = Certificates{SelfSignedDelay: new(Duration(250 * time.Millisecond)), PKCS12: "modern", KeyWorkers: 2}
	c.Identity = Identity{ChallengeTenant: "adfs", Issuers: []Issuer{{Issuer: "https://a", Tenant: "t", JWKSURI: "https://a/k", CA: "ca.pem", Algorithms: []string{"ES256"},
		IDs: OwnIDs, Audiences: []string{"x"}, Claims: map[string]string{"app_id": "azp"}}}}
	c.Log = Log{Level: "debug", Format: "text"}
	c.AllowNewerAPIVersions, c.TrustedCallers = true, []string{c.Tenant}
	for _, want := range []*Config{good(), c} {
		path := filepath.Join(t.TempDir(), FileName)
		if err := want.Save(path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		got, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Config{})); d != "" {
			t.Errorf("-saved +loaded\n%s", d)
		}
		// It never touches what exists.
		before, _ := os.ReadFile(path)
		if err := good().Save(path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("saving over a file: %v", err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Error("the file was changed")
		}
		if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(rest) > 0 {
			t.Errorf("left behind: %v", rest)
		}
	}
}

func TestPathsBeginAtTheFile(t *testing.T) {
	c := good()
	if err := c.At("/etc/coffer/coffer.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct{ got, want string }{
		{c.DataDir(), "/etc/coffer"},
		{c.InData("", "root.key"), "/etc/coffer/root.key"},
		{c.InData("k", "root.key"), "/etc/coffer/k"},
		{c.InData("/k", "root.key"), "/k"},
		{c.Path("a/../b"), "/etc/coffer/b"},
	} {
		if p.got != p.want {
			t.Errorf("got %s, want %s", p.got, p.want)
		}
	}
	c.Data = "state"
	if got := c.InData("", "root.key"); got != "/etc/coffer/state/root.key" {
		t.Errorf("in a folder of its own: %s", got)
	}
}

func TestAVaultIsReachedAtThePortOfTheLoginDoor(t *testing.T) {
	for _, c := range []struct{ url, address, want string }{
		{"", "127.0.0.1:8443", "https://main.vault.example.net:8443"},
		{"", "[::]:443", "https://main.vault.example.net"},
		{"https://login.vault.example.net:9443", ":8443", "https://main.vault.example.net:9443"},
		{"https://login.vault.example.net", ":8443", "https://main.vault.example.net"}, // behind a load balancer
	} {
		settings := Config{URL: c.url, Suffix: "vault.example.net"}
		if got := settings.VaultURL("Main", c.address); got != c.want {
			t.Errorf("%q, listening at %s: %s, not %s", c.url, c.address, got, c.want)
		}
	}
}

func TestSecretsComeFromPrivateFilesOrTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode fs.FileMode) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, c := range []struct {
		file, env  string
		want, fail string
	}{
		{file("good", "correct horse\r\n", 0o600), "", "correct horse", ""},
		{file("read-only", " spaces count ", 0o400), "", " spaces count ", ""},
		{"good", "not asked", "correct horse", ""},
		{"", "from the environment", "from the environment", ""},
		{file("group", "hunter2", 0o640), "", "", "can be read by others: run chmod 600"},
		{file("world", "hunter2", 0o604), "not asked", "", "can be read by others: run chmod 600"},
		{file("empty", "\n", 0o600), "", "", "is empty"},
		{file("large", strings.Repeat("x", maxSecret+1), 0o600), "", "", "is too large"},
		{"none", "", "", "no such file"},
	} {
		c0 := good()
		if err := c0.At(filepath.Join(dir, FileName)); err != nil {
			t.Fatal(err)
		}
		c0.RootKey.PassphraseFile, c0.Store.URLFile, c0.HSM.PINFile = c.file, c.file, c.file
		t.Setenv("COFFER_HSM_PIN", c.env)
		t.Setenv("COFFER_PASSPHRASE", c.env)
		t.Setenv("COFFER_STORE_URL", c.env)
		for key, read := range map[string]func() (seal.Value, error){"root_key.passphrase_file": c0.Passphrase, "store.url_file": c0.StoreURL, "hsm.pin_file": c0.HSMPIN} {
			v, err := read()
			got := string(v.Reveal())
			switch {
			case c.fail == "" && (err != nil || got != c.want):
				t.Errorf("%s %q: got %q, %v", key, c.file, got, err)
			case c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail) || !strings.HasPrefix(err.Error(), key+": ") || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("%s %q: %v, want %q", key, c.file, err, c.fail)
			}
		}
	}
	c := good()
	t.Setenv("COFFER_PASSPHRASE", "")
	t.Setenv("COFFER_STORE_URL", "")
	t.Setenv("COFFER_HSM_PIN", "")
	if _, err := c.HSMPIN(); err == nil || !strings.Contains(err.Error(), "$COFFER_HSM_PIN is empty") {
		t.Errorf("no PIN: %v", err)
	}
	if p, err := c.Passphrase(); len(p.Reveal()) > 0 || err != nil {
		t.Errorf("no passphrase: %q, %v", p, err)
	}
	if _, err := c.StoreURL(); err == nil || !strings.Contains(err.Error(), "$COFFER_STORE_URL is empty") {
		t.Errorf("no connection string: %v", err)
	}
}

// TestCredentialsOfSystemd are used where the configuration names no file; a group may seem to read them there, others
// may not.
func TestCredentialsOfSystemd(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	t.Setenv("COFFER_PASSPHRASE", "of the environment")
	c := good()
	if v, err := c.Passphrase(); err != nil || string(v.Reveal()) != "of the environment" {
		t.Errorf("there is no credential: %q, %v", v.Reveal(), err)
	}
	for name, read := range map[string]func() (seal.Value, error){"passphrase": c.Passphrase, "store-url": c.StoreURL, "hsm-pin": c.HSMPIN} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("credential "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for mode, good := range map[fs.FileMode]bool{0o400: true, 0o440: true, 0o444: false} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if v, err := read(); (err == nil) != good || good && string(v.Reveal()) != "credential "+name {
				t.Errorf("%s, mode %#o: %q, %v", name, mode, v.Reveal(), err)
			}
		}
	}
}

// TestTakenEnvironment: programs that are started do not get it, the configuration keeps it.
func TestTakenEnvironment(t *testing.T) {
	t.Setenv("COFFER_PASSPHRASE", "p")
	t.Setenv("COFFER_HSM_PIN", "h")
	t.Setenv("COFFER_STORE_URL", "s")
	c := good()
	c.TakeEnvironment()
	for variable, read := range map[string]func() (seal.Value, error){"COFFER_PASSPHRASE": c.Passphrase, "COFFER_STORE_URL": c.StoreURL, "COFFER_HSM_PIN": c.HSMPIN} {
		if v, ok := os.LookupEnv(variable); ok {
			t.Errorf("%s=%s is still there", variable, v)
		}
		for range 2 {
			if v, err := read(); err != nil || len(v.Reveal()) != 1 {
				t.Errorf("%s: %q, %v", variable, v.Reveal(), err)
			}
		}
	}
}

func TestLogLevelsAndFormats(t *testing.T) {
	for _, c := range []struct {
		log   Log
		level slog.Level // the lowest that is written
		begin string
	}{
		{Log{}, slog.LevelInfo, `{"time"`},
		{Log{Level: "debug"}, slog.LevelDebug, `{"time"`},
		{Log{Level: "warn", Format: "text"}, slog.LevelWarn, "time="},
		{Log{Level: "error", Format: "json"}, slog.LevelError, `{"time"`},
	} {
		cfg := good()
		cfg.Log = c.log
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			var out bytes.Buffer
			cfg.Logger(&out).Log(t.Context(), level, "x")
			if written := strings.HasPrefix(out.String(), c.begin); written != (level >= c.level) {
				t.Errorf("%+v at %v: %q", c.log, level, &out)
			}
		}
	}
	if d := good().Certificates.Delay(); d != time.Second {
		t.Errorf("the delay is %v", d)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("listen: :1\nsuffix: a.b\ntenant: 8c2f6b1e-0000-4000-8000-000000000000\n"))
	f.Add([]byte("certificates: {self_signed_delay: 1s}\nidentity: {issuers: [{issuer: https://a, claims: {groups: g}}]}"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("tls: {names: [a, 192.0.2.7]}\n---\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &Config{}
		errs, err := c.decode(raw)
		if err != nil || len(errs) > 0 || c.Check() != nil {
			return
		}
		// What is good once saved is good again.
		path := filepath.Join(t.TempDir(), FileName)
		if err := c.Save(path); err != nil {
			t.Fatal(err)
		}
		again, err := Load(path)
		if err != nil {
			t.Fatalf("%v\n%q", err, raw)
		}
		if d := cmp.Diff(c, again, cmp.AllowUnexported(Config{}), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("-saved +loaded\n%s", d)
		}
	})
}
