package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
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
	HSM          HSM          `yaml:"hsm,omitempty"`
	TLS          TLS          `yaml:"tls,omitempty"`
	Connections  Connections  `yaml:"connections,omitempty"`
	Audit        Audit        `yaml:"audit,omitempty"`
	Certificates Certificates `yaml:"certificates,omitempty"`
	Keys         Keys         `yaml:"keys,omitempty"`
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
	HSM            bool   `yaml:"hsm,omitempty"`             // the root key is in the HSM of hsm, and there is no file
}

// HSM names the PKCS#11 HSM that keeps keys of HSM types. Zero: there is none.
type HSM struct {
	Module   string `yaml:"module,omitempty"`   // the maker's PKCS#11 library
	Token    string `yaml:"token,omitempty"`    // the HSM's label (PKCS#11: token label)
	Serial   string `yaml:"serial,omitempty"`   // its serial number, where labels repeat; zero: any
	PINFile  string `yaml:"pin_file,omitempty"` // zero: $COFFER_HSM_PIN; read at each login
	Sessions int    `yaml:"sessions,omitempty"` // most operations at one time; zero: 16
}

// TLS is the listener's certificate. Zero: one of Coffer's own CA, renewed by
// itself.
type TLS struct {
	Certificate string   `yaml:"certificate,omitempty"` // PEM file: leaf, then chain; read again when it changes
	Key         string   `yaml:"key,omitempty"`         // PEM file
	Names       []string `yaml:"names,omitempty"`       // further names and addresses for the certificate of Coffer's own CA
}

// Connections bounds those that are open at one time.
type Connections struct {
	Max        int `yaml:"max,omitempty"`         // zero: 4096
	PerAddress int `yaml:"per_address,omitempty"` // from one address, such as a load balancer's; zero: a quarter of max
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

// Keys steers the use of keys.
type Keys struct {
	KeepOpen *Duration `yaml:"keep_open,omitempty"` // how long a private key that was used stays open in memory; absent: 1m, 0s: not at all
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

// UnmarshalYAML reads the text form. Its error is one of the decoder's own, so
// that it stands among the others.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is not a duration such as 1s or 250ms", n.Line, n.Value)}}
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes the text form.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// maxFile bounds a configuration file, in bytes.
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
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	c := &Config{}
	if err := c.At(path); err != nil {
		return nil, err
	}
	errs, err := c.decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := errors.Join(append(errs, c.Check())...); err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return c, nil
}

// decode fills c. errs are mistakes that left the rest of the file readable.
func (c *Config) decode(raw []byte) (errs []error, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	err = dec.Decode(c)
	if types, ok := errors.AsType[*yaml.TypeError](err); ok {
		for _, text := range types.Errors {
			errs = append(errs, errors.New("  "+unknownField.ReplaceAllString(text, "the key '$1' is unknown")))
		}
	} else if err != nil && !errors.Is(err, io.EOF) { // an empty file lacks everything
		return nil, err
	}
	if err == nil && dec.Decode(&yaml.Node{}) == nil {
		errs = append(errs, errors.New("  the file holds more than one document"))
	}
	return errs, nil
}

// unknownField is what the decoder says of a key that Config does not have.
var unknownField = regexp.MustCompile(`field (.*) not found in type .*`)

// Save writes a configuration that does not exist yet (fs.ErrExist). It is there
// whole or not at all.
func (c *Config) Save(path string) error {
	out, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	if err := c.At(path); err != nil {
		return err
	}
	f, err := os.CreateTemp(c.dir, ".coffer-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString("# Coffer's settings. docs/configuration.md tells what each one does.\n" + string(out))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// At makes paths relative to the folder of the file, before there is one.
func (c *Config) At(path string) (err error) {
	c.dir, err = filepath.Abs(filepath.Dir(path))
	return err
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

// KeepKeysOpen is how long a private key stays open in memory.
func (c *Config) KeepKeysOpen() time.Duration {
	if c.Keys.KeepOpen == nil {
		return time.Minute
	}
	return time.Duration(*c.Keys.KeepOpen)
}

// MaxConnections is how many connections may be open, and how many of them from
// one address.
func (c *Config) MaxConnections() (all, perAddress int) {
	all = cmp.Or(c.Connections.Max, 4096)
	return all, cmp.Or(c.Connections.PerAddress, max(all/4, 1))
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

// Trusts reports whether a caller passes the firewall of every vault.
func (c *Config) Trusts(objectID string) bool {
	return slices.ContainsFunc(c.TrustedCallers, func(id string) bool { return strings.EqualFold(id, objectID) })
}
