package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"coffer/internal/vault"
)

// Config is every setting. The comment of a field says what zero means; paths
// are relative to the folder of the file.
type Config struct {
	Data   string `yaml:"data,omitempty"` // folder of the state; zero: the folder of the file
	Listen string `yaml:"listen"`         // host:port of the one TLS listener
	URL    string `yaml:"url,omitempty"`  // https://host[:port] under which clients reach the login door; zero: https://localhost and the listener's port
	Suffix string `yaml:"suffix"`         // DNS suffix: vaults are https://{vault}.{suffix}
	Tenant string `yaml:"tenant"`         // GUID of the directory's tenant

	DefaultVault string `yaml:"default_vault,omitempty"` // what localhost and IP addresses mean; zero: none

	Store        Store        `yaml:"store,omitempty"`
	RootKey      RootKey      `yaml:"root_key,omitempty"`
	TLS          TLS          `yaml:"tls,omitempty"`
	Audit        Audit        `yaml:"audit,omitempty"`
	Certificates Certificates `yaml:"certificates,omitempty"`
	Identity     Identity     `yaml:"identity,omitempty"`
	Log          Log          `yaml:"log,omitempty"`

	AllowNewerAPIVersions bool     `yaml:"allow_newer_api_versions,omitempty"` // accept well-formed api-versions that are not known yet
	TrustedCallers        []string `yaml:"trusted_callers,omitempty"`          // object ids that pass a vault's firewall

	dir string // of the file
}

// Store says where the data is.
type Store struct {
	Driver  string `yaml:"driver,omitempty"`   // sqlite (zero) or postgres
	Path    string `yaml:"path,omitempty"`     // sqlite: the database file; zero: coffer.db in the data folder
	URLFile string `yaml:"url_file,omitempty"` // postgres: a file that holds the connection string; zero: $COFFER_STORE_URL
}

// RootKey says who keeps the root key.
type RootKey struct {
	Path           string `yaml:"path,omitempty"`            // zero: root.key in the data folder
	PassphraseFile string `yaml:"passphrase_file,omitempty"` // zero: $COFFER_PASSPHRASE; without either the file is not sealed by a passphrase
}

// TLS is the listener's certificate. Zero: one of Coffer's own CA, renewed by
// itself.
type TLS struct {
	Certificate string   `yaml:"certificate,omitempty"` // PEM file: leaf, then chain; read again when it changes
	Key         string   `yaml:"key,omitempty"`         // PEM file
	Names       []string `yaml:"names,omitempty"`       // further names and addresses for the certificate of Coffer's own CA
}

// Audit is the log of every attempt.
type Audit struct {
	Path            string `yaml:"path,omitempty"`            // zero: audit.jsonl in the data folder
	Unauthenticated string `yaml:"unauthenticated,omitempty"` // which 401s are recorded: with-token (zero), all, none
	MaxMegabytes    int    `yaml:"max_megabytes,omitempty"`   // size at which the file is rotated; zero: 256
}

// Certificates steers issuance.
type Certificates struct {
	SelfSignedDelay *Duration `yaml:"self_signed_delay,omitempty"` // how long an operation of Self can be cancelled; absent: 1s
	PKCS12          string    `yaml:"pkcs12,omitempty"`            // legacy (zero: as the cloud service writes it) or modern (AES-256, SHA-256)
	KeyWorkers      int       `yaml:"key_workers,omitempty"`       // workers that generate keys; zero: one less than the processors
}

// Identity steers tokens.
type Identity struct {
	ChallengeTenant string   `yaml:"challenge_tenant,omitempty"` // what the 401 names: adfs (zero), or the tenant for clients that switch instance discovery off
	Issuers         []Issuer `yaml:"issuers,omitempty"`          // OIDC issuers beside the built-in one
}

// Issuer is an external OIDC issuer.
type Issuer struct {
	Issuer    string            `yaml:"issuer"`             // exact iss
	JWKSURI   string            `yaml:"jwks_uri,omitempty"` // zero: from the issuer's discovery document
	Audiences []string          `yaml:"audiences,omitempty"`
	Claims    map[string]string `yaml:"claims,omitempty"` // object_id, app_id, groups: the claims that hold them
}

// Log is the program's log on standard error.
type Log struct {
	Level  string `yaml:"level,omitempty"`  // debug, info (zero), warn, error
	Format string `yaml:"format,omitempty"` // json (zero) or text
}

// Duration is a time.Duration written as "1s" or "250ms".
type Duration time.Duration

// UnmarshalYAML reads the text form.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	*d = Duration(v)
	return err
}

// MarshalYAML writes the text form.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// maxFile bounds a configuration file.
const maxFile = 1 << 20

// FileName is the name of the configuration inside a data folder.
const FileName = "coffer.yaml"

// Load reads and checks a configuration file.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	c := &Config{}
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.dir, err = filepath.Abs(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return c, nil
}

// Save writes a configuration that does not exist yet (fs.ErrExist).
func (c *Config) Save(path string) error {
	out, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	if c.dir, err = filepath.Abs(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("# Coffer's settings. docs/configuration.md tells what each one does.\n" + string(out))
	return errors.Join(err, f.Sync(), f.Close())
}

var (
	guid     = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// Check names every mistake, a line each.
func (c *Config) Check() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("  %s: %s", key, fmt.Sprintf(format, args...)))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen", "must be host:port, such as 127.0.0.1:8443 or :443")
	}
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			bad("url", "must be https://host or https://host:port")
		}
	}
	labels := strings.Split(c.Suffix, ".")
	for _, l := range labels {
		if !dnsLabel.MatchString(l) {
			bad("suffix", "must be a DNS name in lower case, such as vault.example.net")
			break
		}
	}
	if len(labels) < 2 {
		bad("suffix", "needs a dot: clients check that a vault's host ends in it")
	}
	if !guid.MatchString(c.Tenant) {
		bad("tenant", "must be a GUID; coffer init makes one")
	}
	if c.DefaultVault != "" && vault.ParseName(c.DefaultVault) != nil {
		bad("default_vault", "is not a vault name")
	}
	switch c.Store.Driver {
	case "", "sqlite":
		if c.Store.URLFile != "" {
			bad("store.url_file", "goes with driver postgres only")
		}
	case "postgres":
		if c.Store.Path != "" {
			bad("store.path", "goes with driver sqlite only")
		}
	default:
		bad("store.driver", "must be sqlite or postgres")
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		bad("tls", "certificate and key go together")
	}
	if c.TLS.Certificate != "" && len(c.TLS.Names) > 0 {
		bad("tls.names", "goes with Coffer's own certificate only")
	}
	oneOf := func(key, value string, allowed ...string) {
		for _, a := range append(allowed, "") {
			if value == a {
				return
			}
		}
		bad(key, "must be one of %s", strings.Join(allowed, ", "))
	}
	oneOf("audit.unauthenticated", c.Audit.Unauthenticated, "with-token", "all", "none")
	oneOf("certificates.pkcs12", c.Certificates.PKCS12, "legacy", "modern")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "json", "text")
	if c.Audit.MaxMegabytes < 0 {
		bad("audit.max_megabytes", "must not be negative")
	}
	if d := c.SelfSignedDelay(); d < 0 || d > time.Minute {
		bad("certificates.self_signed_delay", "must be 0s to 1m")
	}
	if n := c.Certificates.KeyWorkers; n < 0 || n > 256 {
		bad("certificates.key_workers", "must be 0 to 256")
	}
	if t := c.Identity.ChallengeTenant; t != "" && t != "adfs" && !strings.EqualFold(t, c.Tenant) {
		bad("identity.challenge_tenant", "must be adfs or the tenant")
	}
	for i, is := range c.Identity.Issuers {
		if u, err := url.Parse(is.Issuer); err != nil || u.Scheme != "https" || u.Host == "" {
			bad(fmt.Sprintf("identity.issuers[%d].issuer", i), "must be an https URL")
		}
		for k := range is.Claims {
			if k != "object_id" && k != "app_id" && k != "groups" {
				bad(fmt.Sprintf("identity.issuers[%d].claims.%s", i, k), "is not one of object_id, app_id, groups")
			}
		}
	}
	for i, id := range c.TrustedCallers {
		if !guid.MatchString(id) {
			bad(fmt.Sprintf("trusted_callers[%d]", i), "must be an object id (GUID)")
		}
	}
	for i, n := range c.TLS.Names {
		if _, err := netip.ParseAddr(n); err != nil && strings.ContainsAny(n, " /:") {
			bad(fmt.Sprintf("tls.names[%d]", i), "must be a DNS name or an IP address")
		}
	}
	return errors.Join(errs...)
}

// DataDir is the folder of the state.
func (c *Config) DataDir() string { return c.Path(cmp.Or(c.Data, ".")) }

// Path resolves a path of the configuration.
func (c *Config) Path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// InData resolves a path whose default lies in the data folder.
func (c *Config) InData(p, fallback string) string {
	if p == "" {
		return filepath.Join(c.DataDir(), fallback)
	}
	return c.Path(p)
}

// SelfSignedDelay is the delay in force.
func (c *Config) SelfSignedDelay() time.Duration {
	if c.Certificates.SelfSignedDelay == nil {
		return time.Second
	}
	return time.Duration(*c.Certificates.SelfSignedDelay)
}

// StoreURL is the connection string of PostgreSQL: from the file, else from
// $COFFER_STORE_URL. It holds a password.
func (c *Config) StoreURL() (string, error) {
	return c.secret("store.url_file", c.Store.URLFile, "COFFER_STORE_URL", true)
}

// Passphrase opens the root key file; "" when none is configured.
func (c *Config) Passphrase() (string, error) {
	return c.secret("root_key.passphrase_file", c.RootKey.PassphraseFile, "COFFER_PASSPHRASE", false)
}

func (c *Config) secret(key, file, env string, need bool) (string, error) {
	if file == "" {
		v := os.Getenv(env)
		if v == "" && need {
			return "", fmt.Errorf("%s is not set, and $%s is empty", key, env)
		}
		return v, nil
	}
	path := c.Path(file)
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s: %s can be read by others: run chmod 600 %s", key, path, path)
	}
	if info.Size() > maxFile {
		return "", fmt.Errorf("%s: %s is too large", key, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	v := strings.TrimRight(string(raw), "\r\n")
	if v == "" {
		return "", fmt.Errorf("%s: %s is empty", key, path)
	}
	return v, nil
}

// Logger writes the program's log to w as the configuration says.
func (c *Config) Logger(w io.Writer) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[c.Log.Level]
	opts := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
