package keyvault_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"coffer/internal/access"
	"coffer/internal/store"
)

// Under roles, who may read a key may use its public half: encrypt, wrap and
// verify, and nothing that needs the private one (contract access-control.md, 4.2).
func TestReadersUseThePublicHalf(t *testing.T) {
	w := newInstallation(t)
	var scope string
	for _, v := range vaults() {
		if v.Name == "roles" {
			scope = v.ResourceID()
		}
	}
	const officer, reader = "14b46e9e-c2b7-41b4-b07b-48a6ebf60603", "21090545-7ca7-4776-b22c-e363652d74d2"
	for id, role := range map[string]string{annID: officer, benID: reader} {
		err := w.db.Update(t.Context(), func(tx *store.Tx) error {
			return tx.InsertAssignment(t.Context(), access.Assignment{ID: id, RoleID: role, PrincipalID: id, Scope: scope})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	do := func(who, verb, path, body string) (int, string) {
		r := newRequest(verb, path+"?api-version=7.6", strings.NewReader(body))
		r.Host = "roles.vault.test"
		r.Header.Set("Authorization", "Bearer "+who)
		rec := w.serveHTTP(r)
		var out struct{ Value any }
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		value, _ := out.Value.(string)
		return rec.Code, value
	}
	if code, _ := do("ann", "POST", "/keys/web/create", `{"kty":"RSA"}`); code != http.StatusOK {
		t.Fatal(code)
	}
	code, sealed := do("ben", "POST", "/keys/web/encrypt", `{"alg":"RSA-OAEP","value":"YWJj"}`)
	if code != http.StatusOK {
		t.Errorf("a reader's encrypt: %d", code)
	}
	if _, plain := do("ann", "POST", "/keys/web/decrypt", `{"alg":"RSA-OAEP","value":"`+sealed+`"}`); plain != "YWJj" {
		t.Errorf("it is decrypted to %q", plain)
	}
	digest := strings.Repeat("A", 43)
	for path, want := range map[string]int{
		"/keys/web/wrapkey": 200, "/keys/web/verify": 200,
		"/keys/web/decrypt": 403, "/keys/web/unwrapkey": 403, "/keys/web/sign": 403, "/keys/web/rotate": 403,
	} {
		body := `{"alg":"RSA-OAEP","value":"` + sealed[:40] + `"}`
		if strings.HasSuffix(path, "sign") || strings.HasSuffix(path, "verify") {
			body = `{"alg":"RS256","value":"` + digest + `","digest":"` + digest + `"}`
		}
		if code, _ := do("ben", "POST", path, body); code != want {
			t.Errorf("a reader's %s: %d, want %d", path, code, want)
		}
	}
}
