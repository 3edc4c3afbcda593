package config

import (
	"coffer/internal/seal"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret bounds a file that holds a secret, in bytes.
const maxSecret = 64 << 10

// StoreURL is the connection string of PostgreSQL: from the file, else from
// $COFFER_STORE_URL. It holds a password.
func (c *Config) StoreURL() (seal.Value, error) {
	return c.secret("store.url_file", c.Store.URLFile, "COFFER_STORE_URL", true)
}

// Passphrase opens the root key file; empty when none is configured.
func (c *Config) Passphrase() (seal.Value, error) {
	return c.secret("root_key.passphrase_file", c.RootKey.PassphraseFile, "COFFER_PASSPHRASE", false)
}

// HSMPIN opens the HSM. It is read anew each time, so that a changed PIN needs no
// restart.
func (c *Config) HSMPIN() (seal.Value, error) {
	return c.secret("hsm.pin_file", c.HSM.PINFile, "COFFER_HSM_PIN", true)
}

func (c *Config) secret(key, file, env string, need bool) (seal.Value, error) {
	if file == "" {
		v := os.Getenv(env)
		if v == "" && need {
			return seal.Value{}, fmt.Errorf("%s is not set, and $%s is empty", key, env)
		}
		return text(v), nil
	}
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
	if info.Mode().Perm()&0o077 != 0 {
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
