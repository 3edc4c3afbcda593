package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/internal/authn/authntest"
)

// TestExternalIssuer: an issuer with a CA, a tenant and groups of its own. Its subjects
// have the rights that were given to the ids which the command line tells, and no claim
// makes one of them the administrator.
func TestExternalIssuer(t *testing.T) {
	t.Parallel()
	const alg = "PS256"
	key := authntest.RSAKeys()[0]
	var idp *httptest.Server
	idp = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": idp.URL, "jwks_uri": idp.URL + "/keys"})
		case "/keys":
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
				"kty": "RSA", "kid": "1", "n": authntest.B64(key.N.Bytes()), "e": authntest.B64(big.NewInt(int64(key.E)).Bytes())}}})
		}
	}))
	t.Cleanup(idp.Close)

	f := newFolder(t, nil)
	check := func(want string) {
		t.Helper()
		cmd := exec.Command("coffer", "serve", "--check", "--config", f.path("coffer.yaml"))
		if out, err := cmd.CombinedOutput(); (err == nil) != (want == "") || !strings.Contains(string(out), want) {
			t.Errorf("serve --check: %v, %s, want %q", err, out, want)
		}
	}
	const foreignTenant = "0f0f0f0f-0000-4000-8000-000000000001"
	f.settings("identity: {issuers: [{issuer: \"" + idp.URL + "\", tenant: " + foreignTenant + ", algorithms: [" + alg + "], ca: idp.pem, claims: {groups: groups}}]}\n")
	check("identity.issuers[0].ca: ")
	ca := filepath.Join(f.dir, "idp.pem")
	if err := os.WriteFile(ca, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("identity.issuers[0].ca: idp.pem holds no certificate in PEM")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	check("")
	p := f.start()
	asks := func(who string, claims authntest.Object, status int, want string) {
		t.Helper()
		body := authntest.Object{"iss": idp.URL, "aud": "https://vault.test", "tid": foreignTenant, "exp": time.Now().Unix() + 60}.With(claims)
		a, err := p.as(authntest.Sign(authntest.Object{"alg": alg, "kid": "1"}, body, key), http.MethodGet, "/secrets", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.status != status || !strings.Contains(fmt.Sprint(a.body), want) {
			t.Errorf("%s: %d, want %d and %q: %v", who, a.status, status, want, a.body)
		}
	}
	anna := strings.TrimSpace(f.coffer("identity", "external", "--issuer", idp.URL, "--subject", "anna"))
	admins := strings.TrimSpace(f.coffer("identity", "external", "--issuer", idp.URL, "--group", "admins"))
	asks("without rights", authntest.Object{"sub": "anna"}, http.StatusForbidden, "oid="+anna+";")
	f.coffer("access", "set", "main", anna, "--secrets", "list")
	asks("anna", authntest.Object{"sub": "anna"}, http.StatusOK, "")
	asks("a group of her name", authntest.Object{"sub": "mallory", "groups": []string{"anna", anna}}, http.StatusForbidden, "ForbiddenByPolicy")
	asks("her id as a subject", authntest.Object{"sub": anna}, http.StatusForbidden, "ForbiddenByPolicy")
	asks("the administrator as a subject", authntest.Object{"sub": f.who.ObjectID}, http.StatusForbidden, "ForbiddenByPolicy")
	asks("the administrator as a group", authntest.Object{"sub": "mallory", "groups": []string{f.who.ObjectID}}, http.StatusForbidden, "ForbiddenByPolicy")
	f.coffer("access", "set", "main", admins, "--secrets", "list")
	asks("a group with rights", authntest.Object{"sub": "carl", "groups": []string{"admins"}}, http.StatusOK, "")
	asks("a subject of its name", authntest.Object{"sub": "admins"}, http.StatusForbidden, "ForbiddenByPolicy")
	asks("without a tenant", authntest.Object{"sub": "anna", "tid": nil}, http.StatusOK, "")
	asks("another tenant", authntest.Object{"sub": "anna", "tid": f.who.ObjectID}, http.StatusUnauthorized, "needs '"+foreignTenant+"'")
	p.stop(syscall.SIGTERM)
	if log := string(p.said()); !strings.Contains(log, "earlier versions") || strings.Count(log, "was\":\""+f.who.ObjectID) != 1 {
		t.Errorf("a token that was the administrator's in earlier versions is not told of once:\n%s", log)
	}
}
