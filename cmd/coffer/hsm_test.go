//go:build hsm

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coffer/internal/admin"
	"coffer/internal/hsm"
	"coffer/internal/key"
	"coffer/internal/key/keytest"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

const (
	softHSM    = "/usr/lib/softhsm/libsofthsm2.so"
	tokenLabel = "coffer-test"
	tokenPIN   = "pin-of-the-test"
)

// guarded is a folder whose vault main is premium, with an HSM of SoftHSM.
type guarded struct {
	*folder
	tokens string // SoftHSM's folder
}

func newGuarded(t *testing.T, args ...string) guarded {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("../../scripts/softhsm", dir, tokenLabel, tokenPIN).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pin := filepath.Join(dir, "pin")
	if err := os.WriteFile(pin, []byte(tokenPIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFolder(t, []string{"SOFTHSM2_CONF=" + filepath.Join(dir, "softhsm2.conf")}, append([]string{
		"--sku", "premium", "--hsm-module", softHSM, "--hsm-token", tokenLabel, "--hsm-pin-file", pin}, args...)...)
	return guarded{f, dir}
}

// pull takes the HSM away, as if it were pulled out; in brings it back.
func (g guarded) pull() { g.rename("tokens", "away") }
func (g guarded) in()   { g.rename("away", "tokens") }

func (g guarded) rename(from, to string) {
	g.t.Helper()
	if err := os.Rename(filepath.Join(g.tokens, from), filepath.Join(g.tokens, to)); err != nil {
		g.t.Fatal(err)
	}
}

// inHSM is what pkcs11-tool says of each object, by its id in hexadecimal; of the
// secret keys with one id, of both.
func (g guarded) inHSM() map[string]string {
	g.t.Helper()
	cmd := exec.Command("pkcs11-tool", "--module", softHSM, "--token-label", tokenLabel, "--login", "--pin", tokenPIN, "--list-objects")
	cmd.Env = append(os.Environ(), g.env...)
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatal(err)
	}
	objects := map[string]string{}
	for _, text := range strings.Split("\n"+string(out), "\nPrivate Key Object")[1:] {
		for i, part := range strings.Split(text, "\nSecret Key Object") {
			kind := "Secret"
			if i == 0 {
				kind = "Private"
			}
			note(objects, kind+part)
		}
	}
	for _, part := range strings.Split(strings.Split("\n"+string(out), "\nPrivate Key Object")[0], "\nSecret Key Object")[1:] {
		note(objects, "Secret"+part)
	}
	return objects
}

func note(objects map[string]string, text string) {
	if _, after, ok := strings.Cut(text, "ID:"); ok {
		id, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
		objects[strings.TrimSpace(id)] += text
	}
}

// keysInHSM are the ids of what the vault has in the HSM beside root keys.
func (g guarded) keysInHSM() (ids []string) {
	for id, text := range g.inHSM() {
		if !strings.Contains(text, "coffer-root") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// keysInDatabase are the ids of the keys in the HSM that the database holds, which is read
// as it lies there: the HSM that opens it may be pulled out.
func (g guarded) keysInDatabase() (ids []string) {
	g.t.Helper()
	db, err := sql.Open("sqlite", "file:"+g.database().Path+"?mode=ro")
	must(g.t, err)
	defer db.Close()
	rows, err := db.Query("SELECT hsm_id FROM key_versions WHERE hsm_id IS NOT NULL UNION SELECT hsm_id FROM certificate_operations WHERE hsm_id IS NOT NULL")
	must(g.t, err)
	defer rows.Close()
	for rows.Next() {
		var id []byte
		must(g.t, rows.Scan(&id))
		ids = append(ids, fmt.Sprintf("%x", id))
	}
	must(g.t, rows.Err())
	slices.Sort(ids)
	return ids
}

// expire makes the jobs that destroy keys due, as an hour would.
func (g guarded) expire() (n int) {
	g.t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, g.database())
	if err != nil {
		g.t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(ctx, func(tx *store.Tx) error {
		list, err := tx.Jobs(ctx)
		n = 0
		for _, j := range list {
			if j.Kind == key.DestroyJob {
				n++
				err = errors.Join(err, tx.PostponeJob(ctx, j, time.Unix(0, 0)))
			}
		}
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// jwk is the key of a bundle.
func jwk(a answer) map[string]any { m, _ := a.body["key"].(map[string]any); return m }

func number(t *testing.T, m map[string]any, name string) *big.Int {
	t.Helper()
	s, _ := m[name].(string)
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		t.Fatalf("%s of %v", name, m)
	}
	return new(big.Int).SetBytes(b)
}

// curve is the public key of an EC key.
func curve(t *testing.T, c elliptic.Curve, m map[string]any) *ecdsa.PublicKey {
	t.Helper()
	x, _ := m["x"].(string)
	y, _ := m["y"].(string)
	public, err := ecdsa.ParseUncompressedPublicKey(c, slices.Concat([]byte{4}, unb64(t, x), unb64(t, y)))
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unb64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var hsmCertificate = map[string]any{"policy": map[string]any{
	"key_props":  map[string]any{"kty": "EC-HSM"},
	"x509_props": map[string]any{"subject": "CN=web"},
	"issuer":     map[string]any{"name": "Self"},
}}

// The whole way over TLS with a real HSM that keeps the root key too: keys are
// made, used and destroyed there, and nothing of them is anywhere else.
func TestARealHSMKeepsTheKeys(t *testing.T) {
	g := newGuarded(t, "--root-key-in-hsm")
	if _, err := os.Lstat(g.path("root.key")); err == nil {
		t.Error("there is a root key file")
	}
	p := g.start()
	digest := sha256.Sum256([]byte("message"))

	r := jwk(p.must(200, "POST", "/keys/rsa/create", map[string]any{"kty": "RSA-HSM"}))
	public := &rsa.PublicKey{N: number(t, r, "n"), E: int(number(t, r, "e").Int64())}
	for alg, verify := range map[string]func([]byte) error{
		"RS256": func(sig []byte) error { return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig) },
		"PS256": func(sig []byte) error {
			return rsa.VerifyPSS(public, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32})
		},
	} {
		sig := p.must(200, "POST", "/keys/rsa/sign", map[string]any{"alg": alg, "value": b64(digest[:])})
		if err := verify(unb64(t, sig.text("value"))); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	for _, alg := range []string{"RSA1_5", "RSA-OAEP", "RSA-OAEP-256"} {
		sealed := p.must(200, "POST", "/keys/rsa/encrypt", map[string]any{"alg": alg, "value": "YXR0YWNr"}).text("value")
		if got := p.must(200, "POST", "/keys/rsa/decrypt", map[string]any{"alg": alg, "value": sealed}).text("value"); got != "YXR0YWNr" {
			t.Errorf("%s: %q", alg, got)
		}
		raw := unb64(t, sealed)
		raw[0] ^= 1
		p.must(400, "POST", "/keys/rsa/decrypt", map[string]any{"alg": alg, "value": b64(raw)})
	}
	e := jwk(p.must(200, "POST", "/keys/ec/create", map[string]any{"kty": "EC-HSM", "crv": "P-384"}))
	digest384 := crypto.SHA384.New().Sum(nil)
	sig := unb64(t, p.must(200, "POST", "/keys/ec/sign", map[string]any{"alg": "ES384", "value": b64(digest384)}).text("value"))
	if len(sig) != 96 || !ecdsa.Verify(curve(t, elliptic.P384(), e), digest384, new(big.Int).SetBytes(sig[:48]), new(big.Int).SetBytes(sig[48:])) {
		t.Error("the signature of P-384 is not valid")
	}
	p.must(200, "POST", "/keys/k1/create", map[string]any{"kty": "EC-HSM", "crv": "P-256K"})
	k1 := p.must(200, "POST", "/keys/k1/sign", map[string]any{"alg": "ES256K", "value": b64(digest[:])}).text("value")
	if v := p.must(200, "POST", "/keys/k1/verify", map[string]any{"alg": "ES256K", "digest": b64(digest[:]), "value": k1}); v.body["value"] != true {
		t.Error("the signature of P-256K is not valid")
	}
	p.must(200, "POST", "/keys/aes/create", map[string]any{"kty": "oct-HSM", "key_ops": []string{"encrypt", "decrypt", "sign"}})
	gcm := p.must(200, "POST", "/keys/aes/encrypt", map[string]any{"alg": "A256GCM", "value": "YXR0YWNr", "aad": "d2hv"})
	back := map[string]any{"alg": "A256GCM", "value": gcm.text("value"), "iv": gcm.text("iv"), "tag": gcm.text("tag"), "aad": "d2hv"}
	if got := p.must(200, "POST", "/keys/aes/decrypt", back).text("value"); got != "YXR0YWNr" {
		t.Errorf("GCM: %q", got)
	}
	back["aad"] = "d2ho"
	p.must(400, "POST", "/keys/aes/decrypt", back)
	p.must(200, "POST", "/keys/aes/sign", map[string]any{"alg": "HS256", "value": "YXR0YWNr"})

	// A key that was made elsewhere, for this HSM only (contract keys.md, 9.2).
	kek := jwk(p.must(200, "POST", "/keys/kek/create", map[string]any{"kty": "RSA-HSM", "key_ops": []string{"import"}}))
	mine, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	moved := map[string]any{"key": map[string]any{"kty": "EC-HSM", "crv": "P-256", "key_hsm": transferred(t, kek, mine)}}
	if m := jwk(p.must(200, "PUT", "/keys/moved", moved)); !mine.PublicKey.Equal(curve(t, elliptic.P256(), m)) || m["kty"] != "EC-HSM" {
		t.Errorf("the transferred key is %v", m)
	}
	sig = unb64(t, p.must(200, "POST", "/keys/moved/sign", map[string]any{"alg": "ES256", "value": b64(digest[:])}).text("value"))
	if !ecdsa.Verify(&mine.PublicKey, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		t.Error("the transferred key is another one")
	}

	p.must(202, "POST", "/certificates/web/create", hsmCertificate)
	until(t, "the certificate", func() bool {
		return p.must(200, "GET", "/certificates/web/pending", nil).text("status") == "completed"
	})
	der, err := base64.StdEncoding.DecodeString(p.must(200, "GET", "/certificates/web", nil).text("cer"))
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	must(t, leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature))

	p.must(200, "DELETE", "/keys/ec", nil)
	p.must(204, "DELETE", "/deletedkeys/ec", nil)
	until(t, "the purged key to be destroyed", func() bool { return len(g.keysInHSM()) == 6 })
	if out := g.coffer("rotate"); !strings.Contains(out, "back the HSM up again") {
		t.Errorf("rotate said %s", out)
	}
	g.coffer("rotate", "--data-keys")
	until(t, "the boxes to be sealed again", func() bool {
		return !slices.ContainsFunc(g.dataKeys(), func(k admin.DataKeyView) bool { return k.Left > 0 })
	})
	p.must(200, "POST", "/keys/rsa/sign", map[string]any{"alg": "RS256", "value": b64(digest[:])})
	p.stop(syscall.SIGTERM)

	// What pkcs11-tool sees: nothing that could leave, and only what was made
	// outside was ever there.
	roots := 0
	objects := g.inHSM()
	for id, text := range objects {
		if strings.Contains(text, "coffer-root") {
			roots++
		}
		if !strings.Contains(text, "sensitive") || strings.Contains(text, "extractable") && !strings.Contains(text, "never extractable") {
			t.Errorf("%s: %s", id, text)
		}
	}
	if held := g.keysInDatabase(); roots != 1 || !slices.Equal(held, g.keysInHSM()) {
		t.Errorf("%d root keys; the database has %v, the HSM %v", roots, held, g.keysInHSM())
	}
	g.opensHandlesOnly()
	p = g.start()
	p.must(200, "POST", "/keys/rsa/sign", map[string]any{"alg": "RS256", "value": b64(digest[:])})
	p.stop(syscall.SIGTERM)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// transferred is a .byok file for a KEK.
func transferred(t *testing.T, kek map[string]any, k *ecdsa.PrivateKey) string {
	t.Helper()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	must(t, err)
	by := make([]byte, 32)
	rand.Read(by)
	head, err := rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, &rsa.PublicKey{N: number(t, kek, "n"), E: int(number(t, kek, "e").Int64())}, by, nil)
	must(t, err)
	tail, err := keytest.WrapPad(by, pkcs8)
	must(t, err)
	file, err := json.Marshal(map[string]any{
		"schema_version": "1.0.0", "ciphertext": b64(append(head, tail...)), "generator": "test",
		"header": map[string]any{"kid": kek["kid"], "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
	})
	must(t, err)
	return base64.StdEncoding.EncodeToString(file)
}

// opensHandlesOnly opens every box of the database with the root key of the HSM:
// those of keys in the HSM hold a handle, and no private key.
func (g guarded) opensHandlesOnly() {
	g.t.Helper()
	ctx := context.Background()
	for _, v := range g.env {
		name, value, _ := strings.Cut(v, "=")
		g.t.Setenv(name, value)
	}
	d, err := hsm.Open(hsm.Config{Module: softHSM, Token: tokenLabel, PIN: func() (seal.Value, error) { return seal.NewValue([]byte(tokenPIN)), nil }, Logger: slog.New(slog.DiscardHandler)})
	must(g.t, err)
	defer d.Close()
	root, err := hsm.OpenRootKey(ctx, d)
	must(g.t, err)
	held := len(g.keysInDatabase())
	db, err := store.Open(ctx, g.database())
	must(g.t, err)
	defer db.Close()
	sealer := seal.NewSealer(root, store.For[seal.Tx]{DB: db}, time.Now)
	authenticate(g.t, db, sealer)
	handles := 0
	for _, err := range storetest.CheckVault(ctx, db, func(at seal.Place, b seal.Box) error {
		v, err := sealer.Open(ctx, at, b)
		if err != nil || at.Kind != "key" {
			return err
		}
		if !bytes.HasPrefix(v.Reveal(), []byte("pkcs11:id=")) {
			return fmt.Errorf("the box holds %d bytes that are no handle", len(v.Reveal()))
		}
		handles++
		return nil
	}) {
		g.t.Error(err)
	}
	if handles != held {
		g.t.Errorf("%d handles in boxes", handles)
	}
}

// An HSM that is pulled out in use: 503 until it is back, without a restart, and
// everything else goes on.
func TestAnHSMIsPulledOutInUse(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	p := g.start()
	p.must(200, "POST", "/keys/hard/create", map[string]any{"kty": "EC-HSM"})
	p.must(200, "POST", "/keys/soft/create", map[string]any{"kty": "EC"})
	digest := sha256.Sum256(nil)
	sign := map[string]any{"alg": "ES256", "value": b64(digest[:])}
	p.must(200, "POST", "/keys/hard/sign", sign)
	for range 2 {
		g.pull()
		a := p.must(503, "POST", "/keys/hard/sign", sign)
		if e, _ := a.body["error"].(map[string]any); e["code"] != "ServiceUnavailable" || !strings.Contains(fmt.Sprint(e["message"]), "HSM token") {
			t.Errorf("the answer is %v", a.body)
		}
		p.must(503, "POST", "/keys/new/create", map[string]any{"kty": "oct-HSM"})
		p.must(503, "POST", "/certificates/new/create", hsmCertificate)
		p.must(200, "POST", "/keys/soft/sign", sign)
		p.must(200, "GET", "/keys/hard", nil)
		g.in()
		until(t, "the HSM", func() bool {
			a, err := p.do("POST", "/keys/hard/sign", sign)
			return err == nil && a.status == http.StatusOK
		})
	}
	p.must(200, "POST", "/keys/new/create", map[string]any{"kty": "oct-HSM"})
	if strings.Contains(string(p.said()), tokenPIN) {
		t.Error("the log has the PIN")
	}
	p.stop(syscall.SIGTERM)
	if held := g.keysInDatabase(); len(held) != 2 || !slices.Equal(held, g.keysInHSM()) {
		t.Errorf("the database has %v, the HSM %v", held, g.keysInHSM())
	}
	g.checkRecords(nil)

	// Without the HSM the vault starts all the same.
	g.pull()
	p = g.start()
	p.must(503, "POST", "/keys/hard/sign", sign)
	p.must(200, "POST", "/keys/soft/sign", sign)
	g.in()
	until(t, "the HSM", func() bool {
		a, err := p.do("POST", "/keys/hard/sign", sign)
		return err == nil && a.status == http.StatusOK
	})
	p.stop(syscall.SIGTERM)
}

// With the root key in the HSM there is no start without it, and the message says
// why.
func TestNoStartWithoutTheHSMOfTheRootKey(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, "--root-key-in-hsm")
	g.pull()
	cmd := exec.Command("coffer", "serve", "--config", g.path("coffer.yaml"))
	cmd.Env = append(os.Environ(), g.env...)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the root key is in the HSM, without which nothing can be opened") {
		t.Errorf("%v: %s", err, out)
	}
	g.in()
	// A second vault does not take the root key of the first.
	cmd = exec.Command("coffer", "init", "--data", filepath.Join(t.TempDir(), "other"), "--suffix", "vault.test", "--listen", "127.0.0.1:0",
		"--root-key-in-hsm", "--hsm-module", softHSM, "--hsm-token", tokenLabel, "--hsm-pin-file", filepath.Join(g.tokens, "pin"))
	cmd.Env = append(os.Environ(), g.env...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "the HSM has a root key already") {
		t.Errorf("%v: %s", err, out)
	}
	g.start().stop(syscall.SIGTERM)
}

// The process is killed in the middle of making keys in the HSM, again and again:
// no stored key is without its key in the HSM, and what was made for nothing is
// destroyed by the jobs.
func TestAKilledVaultAndItsHSM(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	orphans := 0
	for round := range 3 {
		p := g.start()
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var mu sync.Mutex
		var stored []string
		enough := make(chan struct{})
		for w := range 6 {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					name := fmt.Sprintf("k-%d-%d-%d", round, w, i)
					path, body := "/keys/"+name+"/create", map[string]any{"kty": "EC-HSM"}
					if i%3 == 2 {
						path, body = "/certificates/"+name+"/create", hsmCertificate
					}
					a, err := p.do("POST", path, body)
					if err != nil {
						return
					}
					if i%4 == 3 {
						_, _ = p.do("DELETE", "/keys/"+name, nil)
						_, _ = p.do("DELETE", "/deletedkeys/"+name, nil)
						continue
					}
					if a.status == http.StatusOK {
						mu.Lock()
						if stored = append(stored, name); len(stored) == 15 {
							close(enough)
						}
						mu.Unlock()
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(deadline):
			t.Fatal("too few keys are made")
		}
		p.kill()
		stop()
		wg.Wait()
		held, there := g.keysInDatabase(), g.keysInHSM()
		for _, id := range held {
			if !slices.Contains(there, id) {
				t.Errorf("the database has %s, the HSM does not", id)
			}
		}
		orphans += len(there) - len(held)
		jobs := g.expire()
		if jobs < len(there)-len(held) {
			t.Errorf("%d keys of the HSM are nobody's, and there are %d jobs", len(there)-len(held), jobs)
		}
		p = g.start()
		digest := sha256.Sum256(nil)
		for _, name := range stored {
			p.must(200, "POST", "/keys/"+name+"/sign", map[string]any{"alg": "ES256", "value": b64(digest[:])})
		}
		until(t, "the jobs", func() bool { return len(g.keysInHSM()) <= len(held) })
		p.stop(syscall.SIGTERM)
		if held, there := g.keysInDatabase(), g.keysInHSM(); !slices.Equal(held, there) {
			t.Errorf("round %d: the database has %v, the HSM %v", round, held, there)
		}
		g.checkVault()
	}
	t.Logf("%d keys were made for nothing, and destroyed", orphans)
}
