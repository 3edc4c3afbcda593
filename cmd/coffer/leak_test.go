package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// secrets are byte strings that must not be found, by what they are.
type secrets map[string][]byte

// text is a secret that is a text: as it is, and in the forms that an encoder
// gives it.
func (s secrets) text(name, value string) {
	s[name] = []byte(value)
	s[name+", base64"] = []byte(base64.StdEncoding.EncodeToString([]byte(value)))
	s[name+", hex"] = []byte(hex.EncodeToString([]byte(value)))
}

// number is a secret number of a private key: its bytes, as they are in every
// form of DER, and their encodings. Base64 of what stands before it may begin at
// any of three places.
func (s secrets) number(name string, n *big.Int) {
	b := n.Bytes()
	s[name] = b
	s[name+", hex"] = []byte(hex.EncodeToString(b))
	s[name+", HEX"] = []byte(strings.ToUpper(hex.EncodeToString(b)))
	s[name+", decimal"] = []byte(n.String())
	for skip := range 3 {
		text := base64.StdEncoding.EncodeToString(b[skip:])
		s[fmt.Sprintf("%s, base64 at %d", name, skip)] = []byte(text[:len(text)-8]) // the end depends on what follows
		text = base64.URLEncoding.EncodeToString(b[skip:])
		s[fmt.Sprintf("%s, base64url at %d", name, skip)] = []byte(text[:len(text)-8])
	}
}

// found names the secrets that content holds.
func (s secrets) found(content []byte) (names []string) {
	for name, value := range s {
		if len(value) < 8 {
			panic(name + " is too short to be looked for")
		}
		if bytes.Contains(content, value) {
			names = append(names, name)
		}
	}
	return names
}

// TestSecretsStayInside walks a vault through operations with known secrets,
// good and bad ones, and looks for their bytes in all that it writes.
func TestSecretsStayInside(t *testing.T) {
	for _, db := range databases() {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			env, args := db.at(t)
			f := newFolder(t, env, args...)
			f.settings("log: {level: debug}\naudit: {unauthenticated: all}\n")
			p := f.start()
			known := secrets{}
			known.text("the client secret", f.who.ClientSecret)
			known.text("the identity header", f.who.IdentityHeader)
			known["the token's signature"] = []byte(p.token[strings.LastIndex(p.token, ".")+1:])
			if u, err := url.Parse(string(f.database().URL.Reveal())); err == nil && u.User != nil {
				password, _ := u.User.Password()
				known.text("PostgreSQL's password", password)
			}
			use(t, p, known)

			// While it runs: the log of SQLite is not folded in yet.
			look := func(when string) {
				files := map[string][]byte{"the program's log": p.said()}
				err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
					if err == nil && d.Type().IsRegular() && d.Name() != administratorFile {
						files[d.Name()], err = os.ReadFile(path)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if db.name == "SQLite" {
					copied := filepath.Join(t.TempDir(), "copy.db")
					f.coffer("backup", copied)
					if files["the backup"], err = os.ReadFile(copied); err != nil {
						t.Fatal(err)
					}
				} else {
					files["the dump"] = dump(t, string(f.database().URL.Reveal()))
				}
				for _, name := range []string{"audit.jsonl", "root.key"} {
					if len(files[name]) == 0 {
						t.Errorf("%s: %s is empty: the search would find nothing", when, name)
					}
				}
				for name, content := range files {
					for _, secret := range known.found(content) {
						t.Errorf("%s: %s holds %s", when, name, secret)
					}
				}
			}
			look("running")
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			if names := known.found(line); len(names) > 0 {
				t.Errorf("the command line holds %v", names)
			}
			p.kill()
			look("killed")
			p = f.start()
			p.stop(syscall.SIGTERM)
			look("stopped")

			// The search finds what is planted.
			for name, value := range known {
				planted := append(append(bytes.Repeat([]byte{7}, 100), value...), 9)
				if got := known.found(planted); !strings.Contains(strings.Join(got, "\n"), name) {
					t.Errorf("planted %s, found %v", name, got)
				}
			}
		})
	}
}

// dump is the whole database as pg_dump writes it.
func dump(t *testing.T, address string) []byte {
	t.Helper()
	server, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := server.Query()
	schema := q.Get("search_path")
	q.Del("search_path")
	server.RawQuery = q.Encode()
	var stderr bytes.Buffer
	cmd := exec.Command("pg_dump", "--dbname", server.String(), "--schema", schema, "--inserts")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v: %s", err, &stderr)
	}
	if !bytes.Contains(out, []byte("INSERT INTO")) {
		t.Fatal("the dump holds no rows")
	}
	// bytea is written in hex; what is looked for in raw bytes must be seen too.
	raw := []byte{}
	for _, part := range bytes.Split(out, []byte(`'\x`)) {
		end := bytes.IndexByte(part, '\'')
		if end < 0 {
			continue
		}
		if b, err := hex.DecodeString(string(part[:end])); err == nil {
			raw = append(raw, b...)
		}
	}
	return append(out, raw...)
}

// use walks through operations that carry secrets, and through their failures.
func use(t *testing.T, p *process, known secrets) {
	t.Helper()
	imported := func(name, value, pwd, contentType string, status int) {
		body := map[string]any{"value": value, "policy": map[string]any{"secret_props": map[string]any{"contentType": contentType}}}
		if pwd != "" {
			body["pwd"] = pwd
		}
		p.must(status, http.MethodPost, "/certificates/"+name+"/import", body)
	}
	const pemType, pfxType = "application/x-pem-file", "application/x-pkcs12"

	ec, text, _ := selfSignedPEM("leak-pem")
	known.number("the EC key", scalar(t, ec))
	imported("leak-pem", text, "", pemType, http.StatusOK)
	imported("leak-pem", text[:len(text)-100], "", pemType, http.StatusBadRequest) // cut off
	imported("bad_name", text, "", pemType, http.StatusBadRequest)

	rsaKey, pfx := newPFX(t, "correct horse battery")
	for i, prime := range rsaKey.Primes {
		known.number(fmt.Sprintf("prime %d of the RSA key", i), prime)
	}
	known.number("the RSA key's exponent", rsaKey.D)
	known.text("the PFX password", "correct horse battery")
	known.text("a wrong PFX password", "wrong horse battery")
	imported("leak-pfx", pfx, "correct horse battery", pfxType, http.StatusOK)
	imported("leak-pfx", pfx, "wrong horse battery", pfxType, http.StatusBadRequest)
	imported("leak-pfx", "!!"+pfx, "correct horse battery", pfxType, http.StatusBadRequest)

	known.text("the issuer's password", "issuer password 4711")
	issuer := map[string]any{"provider": "DigiCert", "credentials": map[string]any{"account_id": "a1", "pwd": "issuer password 4711"}}
	p.must(http.StatusOK, http.MethodPut, "/certificates/issuers/acme", issuer)
	p.must(http.StatusOK, http.MethodPatch, "/certificates/issuers/acme", issuer)
	p.must(http.StatusBadRequest, http.MethodPut, "/certificates/issuers/acme", map[string]any{"credentials": issuer["credentials"]})

	for _, path := range []string{"/secrets/leak-pem", "/secrets/leak-pfx", "/keys/leak-pfx", "/certificates/leak-pem/"} {
		p.must(http.StatusOK, http.MethodGet, path, nil)
	}
	backup := p.must(http.StatusOK, http.MethodPost, "/certificates/leak-pem/backup", map[string]any{}).text("value")
	p.must(http.StatusConflict, http.MethodPost, "/certificates/restore", map[string]any{"value": backup})
	p.must(http.StatusOK, http.MethodDelete, "/certificates/leak-pem", nil)
	p.must(http.StatusNoContent, http.MethodDelete, "/deletedcertificates/leak-pem", nil)
	p.must(http.StatusOK, http.MethodPost, "/certificates/restore", map[string]any{"value": backup})
	p.must(http.StatusAccepted, http.MethodPost, "/certificates/made/create", creation("made", "Self"))

	if a, err := p.as(p.token+"x", http.MethodGet, "/certificates", nil); err != nil || a.status != http.StatusUnauthorized {
		t.Fatal(a, err)
	}
	known.text("a wrong client secret", "cof_not-the-secret-of-anyone")
	if _, status := p.tryToSignIn(p.who.ClientID, "cof_not-the-secret-of-anyone"); status != http.StatusUnauthorized {
		t.Fatalf("a wrong client secret: %d", status)
	}
	for _, header := range []string{p.who.IdentityHeader, "cof_not-the-header-of-anyone"} {
		req, err := http.NewRequest(http.MethodGet, "https://login.vault.test/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-IDENTITY-HEADER", header)
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if token, ok := body["access_token"].(string); ok {
			known["the managed identity's token"] = []byte(token[strings.LastIndex(token, ".")+1:])
		} else if header == p.who.IdentityHeader {
			t.Fatal("the identity header gives no token:", body)
		}
	}
	known.text("a wrong identity header", "cof_not-the-header-of-anyone")
	fresh := p.coffer("identity", "secret", "administrator", "--config", p.path("coffer.yaml"))
	known.text("a second client secret", strings.TrimSpace(fresh))
}

func scalar(t *testing.T, key *ecdsa.PrivateKey) *big.Int {
	t.Helper()
	b, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(b)
}

// newPFX is a certificate with an RSA key as a PFX, base64.
func newPFX(t *testing.T, password string) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "leak-pfx"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pfx, err := pkcs12.Modern.Encode(key, cert, nil, password)
	if err != nil {
		t.Fatal(err)
	}
	return key, base64.StdEncoding.EncodeToString(pfx)
}

// TestSearchSeesKeysInTheirFiles: the numbers that TestSecretsStayInside looks
// for are found in each form in which a key is stored.
func TestSearchSeesKeysInTheirFiles(t *testing.T) {
	ec, text, _ := selfSignedPEM("x")
	key, _ := newPFX(t, "x")
	known := secrets{}
	known.number("EC", scalar(t, ec))
	known.number("RSA", key.Primes[0])
	block, _ := pem.Decode([]byte(text))
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"EC in DER": block.Bytes, "EC in base64": []byte(base64.StdEncoding.EncodeToString(block.Bytes)), "EC in hex": []byte(hex.EncodeToString(block.Bytes)),
		"RSA in DER": pkcs8, "RSA in base64": []byte(base64.StdEncoding.EncodeToString(pkcs8)), "RSA in base64url": []byte(base64.URLEncoding.EncodeToString(pkcs8)),
	} {
		if got := known.found(content); len(got) == 0 || !strings.HasPrefix(got[0], name[:2]) {
			t.Errorf("%s: found %v", name, got)
		}
	}
}
