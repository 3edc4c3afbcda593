package config

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"coffer/internal/seal"
)

// maxSecret bounds a file that holds a secret, in bytes.
const maxSecret = 64 << 10

// fromOutside is where a secret comes from that the configuration names no file for: a credential of systemd
// (systemd.exec(5), LoadCredential=), else a variable of the environment.
type fromOutside struct{ key, credential, variable string }

var (
	storeURL   = fromOutside{"store.url_file", "store-url", "COFFER_STORE_URL"}
	passphrase = fromOutside{"root_key.passphrase_file", "passphrase", "COFFER_PASSPHRASE"}
	hsmPIN     = fromOutside{"hsm.pin_file", "hsm-pin", "COFFER_HSM_PIN"}
)

// StoreURL is the connection string of PostgreSQL. It holds a password.
func (c *Config) StoreURL() (seal.Value, error) { return c.secret(storeURL, c.Store.URLFile, true) }

// Passphrase opens the root key file; empty when none is configured.
func (c *Config) Passphrase() (seal.Value, error) {
	return c.secret(passphrase, c.RootKey.PassphraseFile, false)
}

// HSMPIN opens the HSM. A file is read anew each time, so that a changed PIN needs no
// restart.
func (c *Config) HSMPIN() (seal.Value, error) { return c.secret(hsmPIN, c.HSM.PINFile, true) }

// TakeEnvironment keeps the secrets of the environment for this configuration and takes them out of it, so that no
// program that this process starts gets them.
func (c *Config) TakeEnvironment() {
	c.taken = map[string]seal.Value{}
	for _, o := range []fromOutside{storeURL, passphrase, hsmPIN} {
		if v, ok := os.LookupEnv(o.variable); ok {
			c.taken[o.variable] = text(v)
			_ = os.Unsetenv(o.variable)
		}
	}
}

func (c *Config) secret(o fromOutside, file string, need bool) (seal.Value, error) {
	credentials := os.Getenv("CREDENTIALS_DIRECTORY")
	if file == "" && credentials != "" {
		given := filepath.Join(credentials, o.credential)
		if _, err := os.Stat(given); err == nil {
			file = given
		}
	}
	if file != "" {
		return c.secretFile(o.key, file, credentials)
	}
	v, ok := c.taken[o.variable]
	if !ok {
		v = text(os.Getenv(o.variable))
	}
	if len(v.Reveal()) == 0 && need {
		return seal.Value{}, fmt.Errorf("%s is not set, and $%s is empty", o.key, o.variable)
	}
	return v, nil
}

// secretFile reads a file that nobody else can read. Of those in the folder of credentials systemd sees to that: it may
// show the right of one user (an access control list) as one of a group.
func (c *Config) secretFile(key, file, credentials string) (seal.Value, error) {
	path := c.Path(file)
	f, err := os.Open(path)
	if err != nil {
		return seal.Value{}, fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return seal.Value{}, fmt.Errorf("%s: %w", key, err)
	}
	others := fs.FileMode(0o077)
	if credentials != "" && filepath.Dir(path) == filepath.Clean(credentials) {
		others = 0o007
	}
	if info.Mode().Perm()&others != 0 {
		return seal.Value{}, fmt.Errorf("%s: %s can be read by others: run chmod 600 %s", key, path, path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return seal.Value{}, fmt.Errorf("%s: %w", key, err)
	}
	if len(raw) > maxSecret {
		return seal.Value{}, fmt.Errorf("%s: %s is too large", key, path)
	}
	v := strings.TrimRight(string(raw), "\r\n")
	if v == "" {
		return seal.Value{}, fmt.Errorf("%s: %s is empty", key, path)
	}
	return text(v), nil
}

func text(s string) seal.Value { return seal.NewValue([]byte(s)) }
