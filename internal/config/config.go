package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"coffer/internal/seal"
	"coffer/internal/spelling"
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
	Memory       Memory       `yaml:"memory,omitempty"`
	Log          Log          `yaml:"log,omitempty"`

	AllowNewerAPIVersions bool     `yaml:"allow_newer_api_versions,omitempty"` // accept well-formed api-versions that are not known yet
	TrustedCallers        []string `yaml:"trusted_callers,omitempty"`          // object ids that pass a vault's firewall

	dir   string                // of the file
	taken map[string]seal.Value // secrets of the environment, by variable, that TakeEnvironment took out of it
}

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
			errs = append(errs, errors.New("  "+unknownKey(text)))
		}
	} else if err != nil && !errors.Is(err, io.EOF) { // an empty file lacks everything
		return nil, err
	}
	if err == nil && dec.Decode(&yaml.Node{}) == nil {
		errs = append(errs, errors.New("  the file holds more than one document"))
	}
	return errs, nil
}

// unknownField is what the decoder says of a key that one of our types does not have.
var unknownField = regexp.MustCompile(`field (.*) not found in type config\.(.*)`)

// unknownKey says in our words what the decoder says of an unknown key, with the key
// that was probably meant. Other texts stay as they are.
func unknownKey(text string) string {
	m := unknownField.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	said := "the key '" + m[1] + "' is unknown." + spelling.Suggest(m[1], keysOf(reflect.TypeFor[Config](), m[2]))
	return strings.TrimSuffix(strings.Replace(text, m[0], said, 1), ".")
}

// keysOf are the keys that the type of that name has, looked for in t and in what t
// holds.
func keysOf(t reflect.Type, name string) (keys []string) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); t.Name() != name {
			keys = append(keys, keysOf(f.Type, name)...)
		} else if key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

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

// VaultURL is where clients reach a vault: at the port of the login door, which they
// reach through the same listener, or at that of the listener's address.
func (c *Config) VaultURL(vault, address string) string {
	_, port, _ := net.SplitHostPort(address)
	if u, err := url.Parse(c.URL); err == nil && u.Host != "" {
		port = u.Port()
	}
	base := "https://" + strings.ToLower(vault) + "." + c.Suffix
	if port == "" || port == "443" {
		return base
	}
	return base + ":" + port
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

// Trusts reports whether a caller passes the firewall of every vault.
func (c *Config) Trusts(objectID string) bool {
	return slices.ContainsFunc(c.TrustedCallers, func(id string) bool { return strings.EqualFold(id, objectID) })
}
