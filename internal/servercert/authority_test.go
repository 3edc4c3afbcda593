package servercert

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coffer/internal/seal"
)

// javaClient asks an address for its page, trusting the CA of a file, as any Java program does.
const javaClient = `
import java.io.FileInputStream; import java.net.*; import java.security.KeyStore; import java.security.cert.*; import javax.net.ssl.*;
public class Client { public static void main(String[] a) throws Exception {
	KeyStore k = KeyStore.getInstance(KeyStore.getDefaultType()); k.load(null, null);
	int i = 0; for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(new FileInputStream(a[0]))) k.setCertificateEntry("ca" + i++, c);
	TrustManagerFactory t = TrustManagerFactory.getInstance("PKIX"); t.init(k);
	SSLContext s = SSLContext.getInstance("TLS"); s.init(null, t.getTrustManagers(), null);
	HttpsURLConnection h = (HttpsURLConnection) new URL(a[1]).openConnection(); h.setSSLSocketFactory(s.getSocketFactory());
	System.exit(h.getResponseCode() == 200 ? 0 : 1);
} }`

// clients ask an address, trusting a CA file: each is another implementation of path validation.
func clients(t *testing.T) map[string]func(ca, url string) *exec.Cmd {
	t.Helper()
	java := filepath.Join(t.TempDir(), "Client.java")
	if err := os.WriteFile(java, []byte(javaClient), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]func(ca, url string) *exec.Cmd{
		"curl": func(ca, url string) *exec.Cmd {
			return exec.Command("curl", "-sS", "--noproxy", "*", "--cacert", ca, url)
		},
		"python": func(ca, url string) *exec.Cmd {
			return exec.Command("python3", "-c", "import ssl,sys,urllib.request as u\n"+
				"u.build_opener(u.ProxyHandler({}),u.HTTPSHandler(context=ssl.create_default_context(cafile=sys.argv[1]))).open(sys.argv[2])", ca, url)
		},
		"node": func(ca, url string) *exec.Cmd {
			return exec.Command("node", "-e", "require('https').get(process.argv[2],{ca:require('fs').readFileSync(process.argv[1])},r=>process.exit(r.statusCode==200?0:1)).on('error',e=>{console.error(e.message);process.exit(1)})", ca, url)
		},
		"java": func(ca, url string) *exec.Cmd { return exec.Command("java", java, ca, url) },
		"go": func(ca, url string) *exec.Cmd {
			cmd := exec.Command(os.Args[0], "-test.run=TestGoClient")
			cmd.Env = append(os.Environ(), "SERVERCERT_CA="+ca, "SERVERCERT_URL="+url)
			return cmd
		},
	}
}

// TestGoClient is a client in a process of its own, for the tests here.
func TestGoClient(t *testing.T) {
	if os.Getenv("SERVERCERT_URL") == "" {
		t.Skip("it is run by other tests")
	}
	if err := ask(os.Getenv("SERVERCERT_CA"), os.Getenv("SERVERCERT_URL")); err != nil {
		t.Fatal(err)
	}
}

func ask(ca, url string) error {
	raw, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// listen serves an empty page with what get gives, on 127.0.0.1 and as localhost.
func listen(t *testing.T, get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), TLSConfig: &tls.Config{GetCertificate: get},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = srv.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = srv.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// signed is a certificate that the CA of o was made to sign, whatever it may.
func signed(t *testing.T, o *Own, names ...string) *tls.Certificate {
	t.Helper()
	ca, err := o.current()
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := ca.key.open(o.Root)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template(names, serial(), time.Now().Add(-time.Minute), time.Now().Add(time.Hour)), ca.cert, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key}
}

// TestTheCASignsItsNamesOnly: clients of all kinds take the listener's certificate, and refuse one that its CA signed for
// another name or address.
func TestTheCASignsItsNamesOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	// The name of another site is localhost here, so that clients need no resolver; the listener's own is an address.
	addresses := newOwn(t, filepath.Join(t.TempDir(), "tls"), &clock{time.Now()}, "vault.test", "*.vault.test", "127.0.0.1")
	hosts := newOwn(t, dir, &clock{time.Now()}, "localhost", "*.vault.test")
	serves := func(c *tls.Certificate) string {
		return listen(t, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c, nil })
	}
	load := func(o *Own) *tls.Certificate {
		c, err := o.Load()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct {
		what string
		o    *Own
		url  string
		good bool
	}{
		{"its own name", hosts, "https://localhost:" + serves(load(hosts)), true},
		{"its own address", addresses, "https://127.0.0.1:" + serves(load(addresses)), true},
		{"another name", addresses, "https://localhost:" + serves(signed(t, addresses, "localhost")), false},
		{"another name beside its own", addresses, "https://127.0.0.1:" + serves(signed(t, addresses, "127.0.0.1", "bank.example")), false},
		{"another address", hosts, "https://127.0.0.1:" + serves(signed(t, hosts, "127.0.0.1")), false},
	} {
		for name, cmd := range clients(t) {
			out, err := cmd(c.o.CAFile(), c.url).CombinedOutput()
			if errors.Is(err, exec.ErrNotFound) {
				t.Fatal(err)
			}
			if (err == nil) != c.good {
				t.Errorf("%s, %s: %v %.300s", name, c.what, err, out)
			}
		}
	}
	// openssl, without a server.
	for name, good := range map[string]bool{"main.vault.test": true, "a.b.vault.test": true, "vault.test.example": false, "example.test": false} {
		leaf := filepath.Join(t.TempDir(), "leaf.pem")
		if err := os.WriteFile(leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed(t, addresses, name).Certificate[0]}), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("openssl", "verify", "-x509_strict", "-verify_hostname", name, "-no-CApath", "-no-CAstore", "-CAfile", addresses.CAFile(), "-untrusted", addresses.path("issuing.crt"), leaf).CombinedOutput()
		if (err == nil) != good || !good && !strings.Contains(string(out), "permitted subtree violation") {
			t.Errorf("openssl, %s: %v %s", name, err, out)
		}
	}
}

// TestChangeOfCAsUnderClients: a client with the bundle works through all of it, one with the old file until the switch, one
// with the new file from then on.
func TestChangeOfCAsUnderClients(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	root := newRoot(t)
	cfg := Config{Dir: dir, Names: []string{"localhost", "127.0.0.1"}, Root: root, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	o, err := NewOwn(cfg)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeeper(o, cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	url := "https://localhost:" + listen(t, k.Get)
	keep := func(as string) string {
		raw, err := os.ReadFile(o.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), as)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	work := func(when string, files map[string]bool) {
		t.Helper()
		k.Look(t.Context())
		for file, good := range files {
			if err := ask(file, url); (err == nil) != good {
				t.Errorf("%s, with %s: %v", when, filepath.Base(file), err)
			}
		}
	}
	states := func(want ...string) {
		t.Helper()
		list, err := o.Authorities()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range list {
			got = append(got, a.State)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("the CAs are %v, want %v", got, want)
		}
	}
	old := keep("old")
	work("before", map[string]bool{old: true})
	if err := o.Switch(); !errors.Is(err, ErrNoNext) {
		t.Errorf("a switch to nothing: %v", err)
	}
	if err := o.Rotate(); err != nil {
		t.Fatal(err)
	}
	both := keep("both")
	states("current", "next")
	work("rotated", map[string]bool{old: true, both: true})
	if err := o.Rotate(); !errors.Is(err, ErrHaveNext) {
		t.Errorf("a second rotation: %v", err)
	}
	if err := o.Retire(); !errors.Is(err, ErrHaveNext) {
		t.Errorf("retiring what issues: %v", err)
	}
	if err := o.Switch(); err != nil {
		t.Fatal(err)
	}
	states("current", "former")
	work("switched", map[string]bool{old: false, both: true})
	if err := o.Retire(); err != nil {
		t.Fatal(err)
	}
	fresh := keep("fresh")
	states("current")
	work("retired", map[string]bool{old: false, both: true, fresh: true})
	// Another process reads the same.
	again, err := NewOwn(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := again.Load(); err != nil || !bytes.Equal(c.Certificate[0], serving(t, k)) {
		t.Errorf("after a restart: %v", err)
	}
}

// TestChangeOfCAsAfterACrash: the state that a crash leaves between two lines is one that works, and goes on.
func TestChangeOfCAsAfterACrash(t *testing.T) {
	begin := func(t *testing.T) *Own {
		return newOwn(t, filepath.Join(t.TempDir(), "tls"), &clock{time.Now()}, "localhost")
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("before the bundle", func(t *testing.T) {
		o := begin(t)
		ca, err := o.current()
		must(t, err)
		must(t, o.Rotate())
		must(t, writeCertificates(o.CAFile(), ca.root)) // as before
		if err := o.Switch(); err == nil {
			t.Error("a switch to a CA that no client can have")
		}
		must(t, o.Rotate())
		must(t, o.Switch())
		load(t, o)
	})
	t.Run("after the key", func(t *testing.T) {
		o := begin(t)
		first := load(t, o)
		must(t, o.Rotate())
		must(t, os.Rename(o.path("next.key"), o.path("ca.key")))
		if load(t, o).Equal(first) {
			t.Error("the former CA still issues")
		}
		must(t, o.Switch())
		must(t, o.Retire())
		load(t, o)
		if list, err := o.bundle(); err != nil || len(list) != 1 {
			t.Errorf("%d CAs, %v", len(list), err)
		}
	})
	t.Run("before the certificate of the next", func(t *testing.T) {
		o := begin(t)
		must(t, o.Rotate())
		ca, err := o.current()
		must(t, err)
		must(t, os.Remove(o.path("next.crt")))
		must(t, writeCertificates(o.CAFile(), ca.root))
		must(t, o.Rotate())
		must(t, o.Switch())
		load(t, o)
	})
}

func newRoot(t *testing.T) *seal.RootFile {
	t.Helper()
	r, err := seal.CreateRootFile(filepath.Join(t.TempDir(), "root.key"), seal.Value{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPrivateKeysAreSealed by the root key, those of before too, and follow it when it is rotated and forgotten.
func TestPrivateKeysAreSealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	clear := newOwn(t, dir, &clock{time.Now()}, "localhost")
	leaf := load(t, clear)
	ca, err := clear.current()
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := ca.key.open(nil)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := caKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(caKey)
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(t)
	var own *Own
	sealed := func(when string) {
		t.Helper()
		if own, err = NewOwn(Config{Dir: dir, Names: []string{"localhost"}, Root: root, Now: time.Now, Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if !load(t, own).Equal(leaf) {
			t.Errorf("%s: the certificate is another", when)
		}
		for _, name := range []string{"ca.key", "server.key"} {
			path := filepath.Join(dir, name)
			raw, err := os.ReadFile(path)
			block, _ := pem.Decode(raw)
			if err != nil || block == nil {
				t.Fatalf("%s: %v", when, err)
			}
			_, pkcs8 := x509.ParsePKCS8PrivateKey(block.Bytes)
			_, sec1 := x509.ParseECPrivateKey(block.Bytes)
			if pkcs8 == nil || sec1 == nil || bytes.Contains(block.Bytes, scalar) || bytes.Contains(block.Bytes, der) || bytes.Contains(raw, scalar) {
				t.Errorf("%s: %s is in clear", when, name)
			}
			if out, err := exec.Command("openssl", "pkey", "-in", path, "-noout").CombinedOutput(); err == nil {
				t.Errorf("%s: openssl opens %s: %s", when, name, out)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v %v", when, info.Mode(), err)
			}
		}
	}
	sealed("what was in clear")
	ctx := context.Background()
	if err := root.Rotate(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := own.Reseal(); err != nil {
		t.Fatal(err)
	}
	if err := root.Retire(ctx); err != nil {
		t.Fatal(err)
	}
	sealed("after the old root key was forgotten")
	// One key in the place of the other does not open.
	if err := os.Rename(filepath.Join(dir, "server.key"), filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := own.Load(); err == nil {
		t.Error("the listener's key issues")
	}
	// Nor does another root key open any.
	root = newRoot(t)
	own.Root = root
	if _, err := own.Load(); !errors.Is(err, seal.ErrRootKey) {
		t.Errorf("another root key: %v", err)
	}
}

// TestOlderCAsGoOn: one of before there were constraints issues what it is asked for, and says that it may.
func TestOlderCAsGoOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "Coffer TLS CA 2026-11-01"}, NotBefore: begin, NotAfter: begin.Add(caLife),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeKey(filepath.Join(dir, "ca.key"), key, nil); err != nil {
		t.Fatal(err)
	}
	if err := writePEM(filepath.Join(dir, "ca.crt"), 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		t.Fatal(err)
	}
	o := newOwn(t, dir, &clock{begin.Add(time.Hour)}, "localhost", "extra.test")
	if leaf := load(t, o); len(leaf.DNSNames) != 2 {
		t.Errorf("it has the names %v", leaf.DNSNames)
	}
	if out, ok := verify(t, dir, "extra.test", begin.Add(time.Hour)); !ok {
		t.Error(out)
	}
	if list, err := o.Authorities(); err != nil || len(list[0].Names) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestNamesBeyondTheCAAreTold, once.
func TestNamesBeyondTheCAAreTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	load(t, newOwn(t, dir, &clock{begin}, names...))
	var log lines
	o, err := NewOwn(Config{Dir: dir, Names: append(names, "extra.test"), Now: (&clock{begin}).now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	load(t, o)
	load(t, o)
	if got := log.String(); strings.Count(got, "extra.test") != 1 || !strings.Contains(got, "coffer ca rotate") {
		t.Errorf("it says %q", got)
	}
	if err := o.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := o.Switch(); err != nil {
		t.Fatal(err)
	}
	if leaf := load(t, o); !strings.Contains(strings.Join(leaf.DNSNames, " "), "extra.test") {
		t.Errorf("the next CA signed %v", leaf.DNSNames)
	}
}
