package main

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// openssl makes files outside of FIPS mode.
func openssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

// TestFIPSMode: under GODEBUG=fips140=only a vault does its work, and what the mode excludes is a 400 that names it. Nothing
// panics.
func TestFIPSMode(t *testing.T) {
	t.Parallel()
	f := newFolder(t, []string{"GODEBUG=fips140=only"})
	p := f.start()
	dir := t.TempDir()
	read := func(name string) []byte {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}

	created := func(name string, props map[string]any) {
		t.Helper()
		p.must(http.StatusAccepted, "POST", "/certificates/"+name+"/create", map[string]any{"policy": map[string]any{
			"key_props": props, "issuer": map[string]any{"name": "Self"}, "x509_props": map[string]any{"subject": "CN=" + name},
			"secret_props": map[string]any{"contentType": "application/x-pkcs12"},
		}})
		until(t, name, func() bool {
			a, err := p.do("GET", "/certificates/"+name+"/pending", nil)
			return err == nil && a.text("status") == "completed"
		})
	}
	created("rsa", map[string]any{"kty": "RSA", "key_size": 2048, "exportable": true})
	created("ec", map[string]any{"kty": "EC", "crv": "P-256", "exportable": true})
	for _, name := range []string{"rsa", "ec"} {
		if x5t := p.must(200, "GET", "/certificates/"+name+"/", nil).text("x5t"); len(x5t) != 27 {
			t.Errorf("%s: thumbprint %q", name, x5t)
		}
		pfx := p.must(200, "GET", "/secrets/"+name+"/", nil).text("value") // modern by itself
		p.must(200, "POST", "/certificates/again-"+name+"/import", map[string]any{"value": pfx})
	}
	p.must(200, "PUT", "/secrets/s", map[string]any{"value": "v"})
	p.must(200, "GET", "/secrets/s/", nil)
	digest := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	sign := map[string]any{"RS256": "rsa", "PS256": "rsa", "ES256": "ec"}
	for alg, name := range sign {
		sig := p.must(200, "POST", "/keys/"+name.(string)+"/sign", map[string]any{"alg": alg, "value": digest}).text("value")
		p.must(200, "POST", "/keys/"+name.(string)+"/verify", map[string]any{"alg": alg, "digest": digest, "value": sig})
	}
	p.must(200, "POST", "/keys/k/create", map[string]any{"kty": "RSA"})
	sealed := p.must(200, "POST", "/keys/k/encrypt", map[string]any{"alg": "RSA-OAEP-256", "value": "YXR0YWNr"}).text("value")
	if got := p.must(200, "POST", "/keys/k/decrypt", map[string]any{"alg": "RSA-OAEP-256", "value": sealed}).text("value"); got != "YXR0YWNr" {
		t.Errorf("decrypted %q", got)
	}
	blob := p.must(200, "POST", "/keys/k/backup", nil).text("value")
	p.must(200, "DELETE", "/keys/k", nil)
	p.must(204, "DELETE", "/deletedkeys/k", nil)
	p.must(200, "POST", "/keys/restore", map[string]any{"value": blob})

	// What the mode excludes.
	openssl(t, dir, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "key.pem", "-out", "crt.pem")
	openssl(t, dir, "pkcs12", "-export", "-inkey", "key.pem", "-in", "crt.pem", "-passout", "pass:", "-out", "3des.pfx",
		"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "SHA256")
	openssl(t, dir, "pkcs12", "-export", "-inkey", "key.pem", "-in", "crt.pem", "-passout", "pass:", "-out", "sha1mac.pfx",
		"-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "SHA1")
	openssl(t, dir, "pkcs12", "-export", "-inkey", "key.pem", "-in", "crt.pem", "-passout", "pass:", "-out", "rc2.pfx", "-nomac",
		"-legacy", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-RC2-40")
	openssl(t, dir, "pkcs8", "-topk8", "-in", "key.pem", "-out", "scrypt.pem", "-scrypt", "-passout", "pass:p")
	openssl(t, dir, "pkcs8", "-topk8", "-in", "key.pem", "-out", "3des.pem", "-v2", "des3", "-passout", "pass:p")
	openssl(t, dir, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-subj", "/CN=x", "-keyout", "k1.pem", "-out", "k1crt.pem")
	pem := func(files ...string) map[string]any {
		var all []byte
		for _, name := range files {
			all = append(all, read(name)...)
		}
		return map[string]any{"value": string(all), "pwd": "p", "policy": map[string]any{"secret_props": map[string]any{"contentType": "application/x-pem-file"}}}
	}
	pfx := func(name string) map[string]any {
		return map[string]any{"value": base64.StdEncoding.EncodeToString(read(name))}
	}
	p.must(200, "POST", "/certificates/pem/import", pem("key.pem", "crt.pem"))
	for _, c := range []struct {
		what, path string
		body       map[string]any
	}{
		{"P-256K", "/keys/bad/create", map[string]any{"kty": "EC", "crv": "P-256K"}},
		{"P-256K", "/keys/bad/create", map[string]any{"kty": "EC", "crv": "SECP256K1"}},
		{"P-256K", "/certificates/bad/create", map[string]any{"policy": map[string]any{"key_props": map[string]any{"kty": "EC", "crv": "P-256K"},
			"issuer": map[string]any{"name": "Self"}, "x509_props": map[string]any{"subject": "CN=x"}}}},
		{"P-256K", "/certificates/bad/import", pem("k1.pem", "k1crt.pem")},
		{"RSA1_5", "/keys/rsa/encrypt", map[string]any{"alg": "RSA1_5", "value": "YQ"}},
		{"RSA-OAEP", "/keys/rsa/encrypt", map[string]any{"alg": "RSA-OAEP", "value": "YQ"}},
		{"RSA-OAEP", "/keys/rsa/decrypt", map[string]any{"alg": "RSA-OAEP", "value": "YQ"}},
		{"RSNULL", "/keys/rsa/sign", map[string]any{"alg": "RSNULL", "value": "YQ"}},
		{"ES256K", "/keys/ec/sign", map[string]any{"alg": "ES256K", "value": digest}},
		{"3DES", "/certificates/bad/import", pfx("3des.pfx")},
		{"SHA-1", "/certificates/bad/import", pfx("sha1mac.pfx")},
		{"RC2", "/certificates/bad/import", pfx("rc2.pfx")},
		{"scrypt", "/certificates/bad/import", pem("scrypt.pem", "crt.pem")},
		{"16 bytes", "/certificates/bad/import", pem("3des.pem", "crt.pem")},
	} {
		a, err := p.do("POST", c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		problem, _ := a.body["error"].(map[string]any)
		text, _ := problem["message"].(string)
		if a.status != 400 || !strings.Contains(text, "FIPS mode") || !strings.Contains(text, c.what) {
			t.Errorf("%s %s: %d %v", c.path, c.what, a.status, a.body)
		}
	}
	if said := p.said(); bytes.Contains(said, []byte("panic")) {
		t.Errorf("something panicked:\n%s", said)
	}
	p.stop(syscall.SIGTERM)
	f.coffer("backup", filepath.Join(dir, "copy.db"), "--config", f.path("coffer.yaml"))
	f.coffer("restore", filepath.Join(dir, "copy.db"), "--config", f.path("coffer.yaml"))
	p = f.start()
	p.must(200, "GET", "/secrets/s/", nil)
	p.stop(syscall.SIGTERM)

	// What would need what the mode excludes does not start.
	f.settings("certificates: {pkcs12: legacy}\n")
	f.refused("certificates.pkcs12: legacy is not approved by FIPS 140-3", "serve")
	cmd := exec.Command("coffer", "init", "--data", filepath.Join(dir, "sealed"), "--suffix", "vault.test")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", "COFFER_PASSPHRASE=staple nail horse field")
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("Argon2id")) || !bytes.Contains(out, []byte("FIPS mode")) {
		t.Errorf("a passphrase: %v %s", err, out)
	}
}
