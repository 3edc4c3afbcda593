package keyvault_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coffer/internal/access"
	"coffer/internal/audit"
)

// auditLine is what of a record the tests look at.
type auditLine struct {
	OperationName, OperationVersion, ResultType, ResultSignature, ResultDescription string
	CallerIPAddress, CorrelationID                                                  string
	Identity                                                                        struct{ Claim map[string]string }
	Properties                                                                      struct {
		ID, RequestURI, RequestID, ErrorCode, InnerErrorCode, AuthenticationFailure string
		HTTPStatusCode                                                              int
		IsAddressAuthorized, IsAccessPolicyMatch                                    *bool
		CertificateProperties                                                       *struct{ Subject, SHA1 string }
		CertificatePolicyProperties                                                 *struct{ Issuer string }
		CertificateIssuerProperties                                                 *struct{ Provider string }
		CertificateRequestProperties                                                *struct{ Status string }
		SecretProperties                                                            map[string]any
	}
}

func (w *installation) audited(t *testing.T) (lines []auditLine, raw string) {
	t.Helper()
	b, err := os.ReadFile(w.auditPath)
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(strings.NewReader(string(b))); s.Scan(); {
		var l auditLine
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines, string(b)
}

func TestEveryRequestIsOnRecord(t *testing.T) {
	w := newInstallation(t)
	m := testMaterial()
	type exchange struct {
		verb, target, body, caller string
		operation, signature       string
		status                     int
		id                         string
	}
	importBody := string(must(json.Marshal(map[string]any{"value": m.pem, "policy": map[string]any{}})))
	exchanges := []exchange{
		{"GET", "/certificates/web?api-version=7.6", "", "mallory", "Authentication", "Unauthorized", 401, ""},
		{"GET", "/certificates/web?api-version=7.6", "", "carl", "CertificateGet", "Forbidden", 403, "/certificates/web"},
		{"GET", "/certificates/web?api-version=7.6", "", "ann", "CertificateGet", "NotFound", 404, "/certificates/web"},
		{"POST", "/certificates/web/import?api-version=7.6", importBody, "ann", "CertificateImport", "OK", 200, "/certificates/web/"},
		{"POST", "/certificates/other/import?api-version=7.6", string(must(json.Marshal(map[string]string{"value": m.pem}))), "ann", "CertificateImport", "OK", 200, "/certificates/other/"},
		{"GET", "/certificates/WEB?api-version=7.6", "", "ben", "CertificateGet", "OK", 200, "/certificates/WEB/"},
		{"GET", "/certificates?api-version=7.6&$skiptoken=t0ken&access_token=t0ken", "", "ann", "CertificateList", "BadRequest", 400, ""},
		{"GET", "/secrets/web?api-version=7.6", "", "ann", "SecretGet", "OK", 200, "/secrets/web/"},
		{"PUT", "/certificates/issuers/corp?api-version=7.6", `{"provider":"Test","credentials":{"pwd":"s3cret"}}`, "ann", "CertificateIssuerSet", "OK", 200, "/certificates/issuers/corp"},
		{"POST", "/certificates/web/create?api-version=7.6", `{"policy":{"key_props":{"kty":"EC"},"x509_props":{"subject":"CN=x"},"issuer":{"name":"Self"}}}`, "ann", "CertificateCreate", "Accepted", 202, "/certificates/web"},
		{"GET", "/certificates/web", "", "ann", "CertificateGet", "BadRequest", 400, ""},
		{"GET", "/nowhere?api-version=7.6", "", "ann", "Unknown", "NotFound", 404, ""},
		{"GET", "/certificates/web?api-version=7.6", "", "crash", "Unknown", "InternalServerError", 500, ""},
		{"PUT", "/secrets/own?api-version=7.6", `{"value":"s3cret","contentType":"text/plain","tags":{"a":"b"}}`, "ann", "SecretSet", "OK", 200, "/secrets/own/"},
		{"PATCH", "/secrets/own?api-version=7.6", `{"contentType":"b"}`, "ann", "SecretUpdate", "OK", 200, "/secrets/own/"},
		{"POST", "/secrets/own/backup?api-version=7.6", "", "ann", "SecretBackup", "OK", 200, "/secrets/own"},
		{"DELETE", "/secrets/own?api-version=7.6", "", "ann", "SecretDelete", "OK", 200, "/secrets/own/"},
		{"POST", "/deletedsecrets/own/recover?api-version=7.6", "", "ann", "SecretRecover", "OK", 200, "/secrets/own/"},
		{"DELETE", "/deletedsecrets/own?api-version=7.6", "", "ann", "SecretPurge", "NotFound", 404, "/secrets/own"},
		{"PUT", "/secrets/web?api-version=7.6", `{"value":"s3cret"}`, "ann", "SecretSet", "Forbidden", 403, "/secrets/web"},
		{"POST", "/secrets/restore?api-version=7.6", `{"value":"s3cret"}`, "ann", "SecretRestore", "BadRequest", 400, ""},
		{"DELETE", "/deletedcertificates/a_b?api-version=7.6", "", "ann", "CertificatePurge", "BadRequest", 400, ""},
	}
	var ids []string
	for _, e := range exchanges {
		rec := w.do(e.verb, e.target, e.body, "Authorization", "Bearer "+e.caller, "x-ms-client-request-id", "mine")
		if rec.Code != e.status {
			t.Fatalf("%s %s: %d %s", e.verb, e.target, rec.Code, rec.Body)
		}
		ids = append(ids, rec.Header().Get("x-ms-request-id"))
	}
	lines, raw := w.audited(t)
	also := map[string]bool{} // requests whose policy is on record by itself
	lines = slices.DeleteFunc(lines, func(l auditLine) bool {
		set := l.OperationName == "CertificatePolicySet"
		if set {
			also[l.Properties.RequestID] = l.Properties.CertificatePolicyProperties != nil
		}
		return set
	})
	for i, e := range exchanges {
		l := lines[i]
		if l.OperationName != e.operation || l.ResultSignature != e.signature || l.Properties.HTTPStatusCode != e.status ||
			l.Properties.RequestID != ids[i] || l.CorrelationID != "mine" || l.CallerIPAddress != "192.0.2.1" ||
			!strings.HasPrefix(l.Properties.ID, "https://dev.vault.test"+e.id) {
			t.Errorf("%s %s as %s: %+v", e.verb, e.target, e.caller, l)
		}
		if (l.ResultType == "Success") != (e.status < 400) {
			t.Errorf("%s: result type %s", e.target, l.ResultType)
		}
		known := people[e.caller].ObjectID
		if got := l.Identity.Claim["http://schemas.microsoft.com/identity/claims/objectidentifier"]; got != known {
			t.Errorf("%s as %s: recorded as %q", e.target, e.caller, got)
		}
	}
	if len(also) != 2 || !also[ids[3]] || !also[ids[9]] {
		t.Errorf("policies are on record for %v, want those of the import and the create", also)
	}
	if l := lines[0]; l.Properties.AuthenticationFailure != "AKV10021" || l.Properties.IsAddressAuthorized != nil {
		t.Errorf("the 401: %+v", l)
	}
	if l := lines[1]; l.Properties.InnerErrorCode != "ForbiddenByPolicy" || l.Properties.ErrorCode != "Forbidden" ||
		l.Properties.IsAccessPolicyMatch == nil || *l.Properties.IsAccessPolicyMatch {
		t.Errorf("the 403: %+v", l)
	}
	for _, l := range lines {
		switch p := l.Properties; l.OperationName {
		case "CertificateImport":
			if p.CertificateProperties == nil || p.CertificateProperties.Subject != "CN=shop.example.net" || len(p.CertificateProperties.SHA1) != 40 {
				t.Errorf("the import: %+v", p)
			}
		case "SecretSet":
			if got := fmt.Sprint(p.SecretProperties); p.HTTPStatusCode == 200 && got != "map[contentType:text/plain]" {
				t.Errorf("the set: %s", got)
			}
		case "CertificateIssuerSet":
			if p.CertificateIssuerProperties == nil || p.CertificateIssuerProperties.Provider != "Test" {
				t.Errorf("the issuer: %+v", p)
			}
		case "CertificateCreate":
			if p.CertificateRequestProperties == nil || p.CertificateRequestProperties.Status != "inProgress" {
				t.Errorf("the create: %+v", p)
			}
		}
	}
	for _, secret := range []string{"PRIVATE KEY", "t0ken", "s3cret", "Bearer", jsonText(m.pem)[40:80]} {
		if strings.Contains(raw, secret) {
			t.Errorf("the record holds %q", secret)
		}
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// TestInsideStaysInside: what is wrong with the vault is in its log only, and is
// found there by the request id that the caller has.
func TestInsideStaysInside(t *testing.T) {
	w := newInstallation(t)
	for caller, cause := range map[string]string{"broken": "10.0.0.7 is down", "crash": "the verifier fell over"} {
		w.log.Reset()
		rec := w.do("GET", "/certificates/web?api-version=7.6&maxresults=3", "", "Authorization", "Bearer "+caller)
		id := rec.Header().Get("x-ms-request-id")
		if _, message := errorOf(t, rec); rec.Code != 500 || message != "An internal error occurred. Request id: "+id {
			t.Errorf("%s: %d %s", caller, rec.Code, message)
		}
		if rec.Header().Get("Retry-After") != "" {
			t.Error("a 500 has a Retry-After")
		}
		log := w.log.String()
		for _, want := range []string{cause, id, "level=ERROR", "status=500", "api_version=7.6", "vault=dev"} {
			if !strings.Contains(log, want) {
				t.Errorf("%s: %q is not in the log: %s", caller, want, log)
			}
		}
		if strings.Contains(log, "maxresults") || strings.Count(log, "\n") != 1 {
			t.Errorf("the log is %s", log)
		}
	}
	w.log.Reset()
	w.do("GET", "/certificates/web/policy?api-version=7.6", "")
	for _, want := range []string{`route=/certificates/{name}/policy`, "caller=" + annID, "status=404", "level=INFO", "duration=", "method=GET"} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("%q is not in the log: %s", want, w.log)
		}
	}
}

// fullDisk is an audit file on a disk that fills up.
type fullDisk struct {
	*os.File
	full *bool
}

func (f fullDisk) Write(p []byte) (int, error) {
	if *f.full {
		return 0, errors.New("no space left on device")
	}
	return f.File.Write(p)
}

func TestNoRecordNoSuccess(t *testing.T) {
	w := newInstallation(t)
	full := false
	log, err := audit.Open(audit.Config{Path: filepath.Join(t.TempDir(), "audit.log"), OpenFile: func(path string) (audit.File, error) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		return fullDisk{f, &full}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	w.config.Recorder = access.NewRecorder(log)
	w.serve(t)
	if rec := w.do("GET", "/certificates?api-version=7.6", ""); rec.Code != 200 {
		t.Fatal(rec.Code)
	}
	full = true
	for _, e := range [][2]string{{"GET", "/certificates?api-version=7.6"}, {"DELETE", "/certificates/web?api-version=7.6"}} {
		rec := w.do(e[0], e[1], "")
		if code, _ := errorOf(t, rec); rec.Code != http.StatusServiceUnavailable || code != "ServiceUnavailable" || rec.Header().Get("Retry-After") != "1" {
			t.Errorf("%s %s: %d %v %s", e[0], e[1], rec.Code, rec.Header(), rec.Body)
		}
	}
	full = false
	if rec := w.do("GET", "/certificates?api-version=7.6", ""); rec.Code != 200 {
		t.Errorf("with space again: %d", rec.Code)
	}
}

func TestHealthTellsWhenTheVaultCannotServe(t *testing.T) {
	w := newInstallation(t)
	w.config.Ready = func() error { return errors.New("the root key is sealed") }
	w.serve(t)
	rec := w.do("GET", "/healthstatus", "", "Authorization", "")
	if code, message := errorOf(t, rec); rec.Code != 503 || code != "ServiceUnavailable" || strings.Contains(message, "root key") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec.Header().Get("x-ms-keyvault-network-info") == "" || rec.Header().Get("Retry-After") != "1" {
		t.Error(rec.Header())
	}
	if rec := w.do("POST", "/healthstatus", ""); rec.Code != 404 {
		t.Errorf("POST: %d", rec.Code)
	}
}

// A client that leaves is no failure that an operator must look at.
func TestClientsThatLeaveAreNoErrors(t *testing.T) {
	w := newInstallation(t)
	for _, c := range []struct {
		leaves bool // or its time is over
		status int
		level  string
	}{{true, http.StatusServiceUnavailable, "level=INFO"}, {false, http.StatusGatewayTimeout, "level=ERROR"}} {
		w.log.Reset()
		r := httptest.NewRequest("DELETE", "https://dev.vault.test/certificates/web?api-version=7.6", nil)
		r.Header.Set("Authorization", "Bearer ann")
		ctx, cancel := context.WithCancel(t.Context())
		if !c.leaves {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, -1)
			defer stop()
		}
		cancel()
		if rec := w.serveHTTP(r.WithContext(ctx)); rec.Code != c.status {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		if text := w.log.String(); !strings.Contains(text, c.level) || strings.Count(text, "msg=request") != 1 {
			t.Errorf("%s", text)
		}
	}
}
