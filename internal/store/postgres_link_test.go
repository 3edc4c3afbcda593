package store

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coffer/internal/seal"
)

// TestServersElsewhereAreVerified: whatever says where the server is and how it is reached.
func TestServersElsewhereAreVerified(t *testing.T) {
	service := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(service, []byte("[away]\nhost=db.example.net\nsslmode=require\n[near]\nhost=127.0.0.1\n[good]\nhost=db.example.net\nsslmode=verify-full\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url  string
		env  []string
		good bool
	}{
		{url: "postgres://u:hunter2@db.example.net/x?sslmode=verify-full", good: true},
		{url: "host=db.example.net sslmode=verify-full password=hunter2", good: true},
		{url: "postgres://u:hunter2@192.0.2.7/x?sslmode=verify-full", good: true},
		{url: "postgres://a.example.net,b.example.net:5433/x?sslmode=verify-full", good: true},
		{url: "postgres://u:hunter2@db.example.net/x"},
		{url: "postgres://u:hunter2@db.example.net/x?sslmode=disable"},
		{url: "postgres://u:hunter2@db.example.net/x?sslmode=allow"},
		{url: "postgres://u:hunter2@db.example.net/x?sslmode=prefer"},
		{url: "postgres://u:hunter2@db.example.net/x?sslmode=require"},
		{url: "postgres://u:hunter2@db.example.net/x?sslmode=verify-ca"},
		{url: "postgres://u:hunter2@192.0.2.7/x?sslmode=disable"},
		{url: "postgres://127.0.0.1,db.example.net/x?sslmode=disable"},
		{url: "postgres://db.example.net,127.0.0.1/x?sslmode=require"},
		{url: "host=/run/postgresql,db.example.net"},
		{url: "postgres://u:hunter2@127.0.0.1/x?sslmode=disable", good: true},
		{url: "postgres://u:hunter2@127.9.9.9/x", good: true},
		{url: "postgres://[::1]/x", good: true},
		{url: "host=/run/postgresql dbname=x", good: true},
		{url: "postgres:///x?host=/run/postgresql", good: true},
		{url: "postgres://u:hunter2@localhost/x?sslmode=disable"},
		{url: "postgres://u:hunter2@127.0.0.1.example.net/x"},
		{url: "postgres://u:hunter2@127.1/x"},
		{url: "postgres://0.0.0.0/x"},
		{url: "dbname=x", env: []string{"PGHOST", "db.example.net"}},
		{url: "dbname=x", env: []string{"PGHOST", "127.0.0.1"}, good: true},
		{url: "host=db.example.net", env: []string{"PGSSLMODE", "require"}},
		{url: "host=db.example.net", env: []string{"PGSSLMODE", "verify-full"}, good: true},
		{url: "service=away", env: []string{"PGSERVICEFILE", service}},
		{url: "service=near", env: []string{"PGSERVICEFILE", service}, good: true},
		{url: "service=good", env: []string{"PGSERVICEFILE", service}, good: true},
		{url: "service=near host=db.example.net", env: []string{"PGSERVICEFILE", service}},
		{url: "dbname=x servicefile=" + service, env: []string{"PGSERVICE", "away"}},
	} {
		t.Run("", func(t *testing.T) {
			if c.env != nil {
				t.Setenv(c.env[0], c.env[1])
			}
			url := seal.NewValue([]byte(c.url))
			conf, err := parseURL(Config{URL: url})
			if (err == nil) != c.good || err != nil && !errors.Is(err, ErrUnverified) {
				t.Fatalf("%s %v: %v", c.url, c.env, err)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "sslmode=verify-full") || !strings.Contains(err.Error(), "store.insecure: true")) {
				t.Errorf("%s: %v", c.url, err)
			}
			if c.good && conf.TLSConfig != nil && (len(conf.TLSConfig.CipherSuites) == 0 || conf.TLSConfig.MinVersion < tls.VersionTLS12) {
				t.Errorf("%s: TLS is any", c.url)
			}
			if _, err := parseURL(Config{URL: url, Insecure: true}); err != nil {
				t.Errorf("%s, insecure: %v", c.url, err)
			}
		})
	}
}
