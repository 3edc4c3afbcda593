package servercert

import (
	"crypto/ecdsa"
	"crypto/x509"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clock is a time that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

var (
	begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	names = []string{"localhost", "vault.test", "*.vault.test", "127.0.0.1", "::1"}
)

func newOwn(t *testing.T, dir string, c *clock, names ...string) *Own {
	t.Helper()
	o, err := NewOwn(Config{Dir: dir, Names: names, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func load(t *testing.T, s Source) *x509.Certificate {
	t.Helper()
	c, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if !c.Leaf.PublicKey.(*ecdsa.PublicKey).Equal(c.PrivateKey.(*ecdsa.PrivateKey).Public()) {
		t.Fatal("the key is another certificate's")
	}
	return c.Leaf
}

// verify asks openssl whether a client would accept the listener under a name at
// a time.
func verify(t *testing.T, dir, name string, at time.Time) (string, bool) {
	t.Helper()
	cmd := exec.Command("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name,
		"-attime", strconv.FormatInt(at.Unix(), 10), "-no-CApath", "-no-CAstore", "-CAfile", filepath.Join(dir, "ca.crt"), "-untrusted", filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.crt"))
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func TestClientsTrustTheListener(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	c := &clock{begin}
	o := newOwn(t, dir, c, names...)
	leaf := load(t, o)
	for _, name := range []string{"localhost", "vault.test", "main.vault.test"} {
		if out, ok := verify(t, dir, name, begin); !ok {
			t.Errorf("%s: %s", name, out)
		}
	}
	for _, name := range []string{"example.test", "a.b.vault.test"} {
		if _, ok := verify(t, dir, name, begin); ok {
			t.Errorf("it is good for %s", name)
		}
	}
	if out, ok := verify(t, dir, "localhost", begin.Add(leafLife+time.Hour)); ok || !strings.Contains(out, "expired") {
		t.Errorf("after its life: %s", out)
	}
	if got := leaf.NotAfter.Sub(leaf.NotBefore); got != leafLife+backdate {
		t.Errorf("it lives %v", got)
	}
	out, err := exec.Command("openssl", "x509", "-in", o.CAFile(), "-noout", "-text").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CA:TRUE, pathlen:1", "X509v3 Name Constraints: critical", "Certificate Sign, CRL Sign", "prime256v1", "Not After : Nov 16 12:00:00 2046 GMT"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the CA lacks %q:\n%s", want, out)
		}
	}
	for name, mode := range map[string]os.FileMode{"ca.key": 0o600, "server.key": 0o600, "ca.crt": 0o644, "server.crt": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	if len(leaf.SerialNumber.Bytes()) > 20 || leaf.SerialNumber.Sign() <= 0 {
		t.Errorf("serial number %x (RFC 5280, section 4.1.2.2)", leaf.SerialNumber)
	}
}

// TestCertificateIsMadeAgainWhenItMust: it is used as long as it is good, across
// starts; the CA stays for ever.
func TestCertificateIsMadeAgainWhenItMust(t *testing.T) {
	for _, c := range []struct {
		what  string
		again bool
		do    func(t *testing.T, dir string, c *clock) (names []string)
	}{
		{"nothing", false, func(*testing.T, string, *clock) []string { return names }},
		{"a day", false, func(_ *testing.T, _ string, c *clock) []string { c.at = c.at.Add(24 * time.Hour); return names }},
		{"just before a third is left", false, func(_ *testing.T, _ string, c *clock) []string {
			c.at = c.at.Add(leafLife - renewLeft)
			return names
		}},
		{"a third is left", true, func(_ *testing.T, _ string, c *clock) []string {
			c.at = c.at.Add(leafLife - renewLeft + time.Second)
			return names
		}},
		{"a year", true, func(_ *testing.T, _ string, c *clock) []string { c.at = c.at.AddDate(1, 0, 0); return names }},
		{"a clock set back", true, func(_ *testing.T, _ string, c *clock) []string { c.at = c.at.Add(-time.Hour); return names }},
		{"a name more", true, func(*testing.T, string, *clock) []string { return append(names, "extra.vault.test") }},
		{"a name that the CA may not sign", false, func(*testing.T, string, *clock) []string { return append(names, "extra.test", "192.0.2.7") }},
		{"an address less", true, func(*testing.T, string, *clock) []string { return names[:4] }},
		{"another address", true, func(*testing.T, string, *clock) []string { return append(names[:4:4], "192.0.2.7") }},
		{"a key that is another's", true, func(t *testing.T, dir string, c *clock) []string {
			// A crash came between the key and the certificate.
			other := filepath.Join(t.TempDir(), "other")
			load(t, newOwn(t, other, c, names...))
			move(t, filepath.Join(other, "server.key"), filepath.Join(dir, "server.key"))
			return names
		}},
		{"another CA", true, func(t *testing.T, dir string, c *clock) []string {
			other := filepath.Join(t.TempDir(), "other")
			load(t, newOwn(t, other, c, names...))
			move(t, filepath.Join(other, "server.key"), filepath.Join(dir, "server.key"))
			move(t, filepath.Join(other, "server.crt"), filepath.Join(dir, "server.crt"))
			return names
		}},
		{"no certificate", true, func(t *testing.T, dir string, _ *clock) []string {
			if err := os.Remove(filepath.Join(dir, "server.crt")); err != nil {
				t.Fatal(err)
			}
			return names
		}},
		{"half a certificate", true, func(t *testing.T, dir string, _ *clock) []string {
			if err := os.Truncate(filepath.Join(dir, "server.crt"), 100); err != nil {
				t.Fatal(err)
			}
			return names
		}},
	} {
		dir := filepath.Join(t.TempDir(), "tls")
		time := &clock{begin}
		first := load(t, newOwn(t, dir, time, names...))
		ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		now := c.do(t, dir, time)
		leaf := load(t, newOwn(t, dir, time, now...))
		if again := !leaf.Equal(first); again != c.again {
			t.Errorf("%s: made again %v, want %v", c.what, again, c.again)
		}
		at := time.at
		if at.Before(begin) {
			at = begin // the CA is not older, and clients have clocks of their own
		}
		if out, ok := verify(t, dir, "localhost", at); !ok {
			t.Errorf("%s: %s", c.what, out)
		}
		if after, _ := os.ReadFile(filepath.Join(dir, "ca.crt")); string(after) != string(ca) {
			t.Errorf("%s: the CA is another", c.what)
		}
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestCAIsWholeOrNotThere: a crash between the CA's key and its certificate
// leaves no CA, and the next start makes one.
func TestCAIsWholeOrNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	c := &clock{begin}
	o := newOwn(t, dir, c, names...)
	if err := os.Remove(o.CAFile()); err != nil {
		t.Fatal(err)
	}
	load(t, newOwn(t, dir, c, names...))
	if out, ok := verify(t, dir, "localhost", begin); !ok {
		t.Error(out)
	}
	// A lost key is said: clients trust the certificate, so that it is not replaced.
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.AddDate(1, 0, 0)
	if _, err := newOwn(t, dir, c, names...).Load(); err == nil || !strings.Contains(err.Error(), "ca.key") {
		t.Errorf("without the CA's key: %v", err)
	}
}

// TestLeafDoesNotOutliveItsCA, nor is it refused by openssl.
func TestLeafDoesNotOutliveItsCA(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	c := &clock{begin}
	o := newOwn(t, dir, c, names...)
	c.at = begin.Add(caLife - 40*24*time.Hour)
	leaf := load(t, o)
	if want := begin.Add(caLife); !leaf.NotAfter.Equal(want) {
		t.Errorf("it ends %v, want %v", leaf.NotAfter, want)
	}
	if out, ok := verify(t, dir, "localhost", c.at); !ok {
		t.Error(out)
	}
}
