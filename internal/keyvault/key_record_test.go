package keyvault_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// The record of what was done with keys: who, what and which version; of a new key
// its kind; nothing that was encrypted, decrypted, signed or imported.
func TestKeysAreOnRecordWithoutTheirSecrets(t *testing.T) {
	w := newInstallation(t)
	private := "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI" // RFC 7515, appendix A.3
	imported := `{"key":{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
		"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"` + private + `"}}`
	plain := "YXR0YWNrIGF0IGRhd24"
	var sealed string
	for _, e := range []struct {
		verb, path, body   string
		status             int
		operation, id, say string // what the record has beside
	}{
		{"POST", "/keys/Web/create", `{"kty":"RSA"}`, 200, "KeyCreate", "/keys/Web/", `"keyProperties":{"type":"RSA","size":2048,"ops":["encrypt"`},
		{"PUT", "/keys/ec", imported, 200, "KeyImport", "/keys/ec/", `"keyProperties":{"type":"EC","size":256,"curve":"P-256","ops":["sign","verify"]}`},
		{"POST", "/keys/ec/rotate", "", 200, "KeyRotate", "/keys/ec/", `"keyProperties":{"type":"EC"`},
		{"GET", "/keys/web", "", 200, "KeyGet", "/keys/web/", ""},
		{"PATCH", "/keys/web", `{"tags":{"a":"b"}}`, 200, "KeyUpdate", "/keys/web/", ""},
		{"POST", "/keys/web/encrypt", `{"alg":"RSA-OAEP","value":"` + plain + `"}`, 200, "KeyEncrypt", "/keys/web/", `"algorithm":"RSA-OAEP"`},
		{"POST", "/keys/web/decrypt", `{"alg":"RSA-OAEP","value":"{sealed}"}`, 200, "KeyDecrypt", "/keys/web/", ""},
		{"POST", "/keys/web/unwrapkey", `{"alg":"RSA-OAEP","value":"{sealed}"}`, 200, "KeyUnwrap", "/keys/web/", ""},
		{"POST", "/keys/web/decrypt", `{"alg":"RSA1_5","value":"{sealed}"}`, 400, "KeyDecrypt", "/keys/web", `"errorCode":"BadParameter"`},
		{"POST", "/keys/web/sign", `{"alg":"RS256","value":"` + plain + `"}`, 400, "KeySign", "/keys/web", ""},
		{"POST", "/keys/ec/encrypt", `{"alg":"RSA-OAEP","value":"` + plain + `"}`, 403, "KeyEncrypt", "/keys/ec", `"innerErrorCode":"KeyOperationForbidden"`},
		{"PUT", "/keys/web/rotationpolicy", `{}`, 200, "KeyRotationPolicySet", "/keys/web", ""},
		{"GET", "/keys/web/rotationpolicy", ``, 200, "KeyRotationPolicyGet", "/keys/web", ""},
		{"POST", "/rng", `{"count":16}`, 200, "KeyGetRandomBytes", "", ""},
		{"PUT", "/keys/bad", strings.Replace(imported, "f83O", "g83O", 1), 400, "KeyImport", "/keys/bad", ""},
		{"POST", "/keys/web/backup", "", 200, "KeyBackup", "/keys/web", ""},
		{"DELETE", "/keys/web", "", 200, "KeyDelete", "/keys/web/", ""},
		{"GET", "/deletedkeys", "", 200, "KeyListDeleted", "", ""},
		{"GET", "/deletedkeys/web", "", 200, "KeyGetDeleted", "/keys/web/", ""},
		{"POST", "/deletedkeys/web/recover", "", 200, "KeyRecover", "/keys/web/", ""},
		{"DELETE", "/deletedkeys/web", "", 404, "KeyPurge", "/keys/web", `"errorCode":"KeyNotFound"`},
	} {
		_, before := w.audited(t)
		rec := w.do(e.verb, e.path+"?api-version=7.6", strings.ReplaceAll(e.body, "{sealed}", sealed))
		if rec.Code != e.status {
			t.Fatalf("%s %s: %d %s", e.verb, e.path, rec.Code, rec.Body)
		}
		if strings.HasSuffix(e.path, "/encrypt") && rec.Code == 200 {
			var body struct{ Value string }
			if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			sealed = body.Value
		}
		lines, after := w.audited(t)
		last, text := lines[len(lines)-1], after[len(before):]
		if last.OperationName != e.operation || !strings.HasPrefix(last.Properties.ID, "https://dev.vault.test"+e.id) || last.Properties.HTTPStatusCode != e.status ||
			!strings.Contains(text, e.say) {
			t.Errorf("%s %s is on record as %s", e.verb, e.path, text)
		}
	}
	_, raw := w.audited(t)
	for name, secret := range map[string]string{"the private key": private, "what was encrypted": plain, "in clear": "attack at dawn", "what came of it": sealed} {
		for where, text := range map[string]string{"record": raw, "log": w.log.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s has %s", where, name)
			}
		}
	}
}
