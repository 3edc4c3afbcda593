package audit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// contractRecord is the example of contract observability.md, 1.1, in one line,
// with the members that are always ours.
const contractRecord = `{"time":"2026-01-31T14:05:06.1234567Z",
 "category":"AuditEvent",
 "resourceId":"/SUBSCRIPTIONS/00000000-0000-0000-0000-000000000000/RESOURCEGROUPS/LOCAL/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/KV1",
 "operationName":"CertificateGet",
 "operationVersion":"7.6",
 "resultType":"Success",
 "resultSignature":"OK",
 "resultDescription":"",
 "durationMs":"12",
 "callerIpAddress":"203.0.113.7",
 "correlationId":"03d275a2-52a4-4bed-82c8-6fe15165affb",
 "identity":{"claim":{"http://schemas.microsoft.com/identity/claims/objectidentifier":"d9da5048-2737-4770-bd64-1f1f1f1f1f1f",
                      "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"ann@example.net",
                      "appid":"00001111-aaaa-2222-bbbb-3333cccc4444"}},
 "properties":{"id":"https://kv1.vault.test/certificates/web/1f0c","clientInfo":"azsdk-go-azcertificates/v1.4.0 (go1.26; linux)",
               "requestUri":"https://kv1.vault.test/certificates/web/?api-version=7.6","httpStatusCode":200,"tlsVersion":"TLS1_3",
               "subnetId":"(unknown)","isRbacAuthorized":true,"isAccessPolicyMatch":false,"isAddressAuthorized":true,
               "addressAuthorizationType":"Public IP","appliedAssignmentId":"as-1","requestId":"REQUEST",
               "sequence":1,"previousHash":"0000000000000000000000000000000000000000000000000000000000000000"}}`

func TestRecordIsTheContracts(t *testing.T) {
	l := openLog(t, Config{Now: func() time.Time { return arrival.Add(12999 * time.Microsecond) }})
	e := l.Begin(arrival)
	finishWith(t, e, &Facts{
		Request: Request{
			Address: "203.0.113.7", URI: "https://kv1.vault.test/certificates/web/?api-version=7.6",
			UserAgent: "azsdk-go-azcertificates/v1.4.0 (go1.26; linux)", CorrelationID: "03d275a2-52a4-4bed-82c8-6fe15165affb", TLSVersion: 0x0304,
		},
		ResourceID: "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.KeyVault/vaults/kv1",
		VaultURL:   "https://kv1.vault.test/",
		Operation:  "CertificateGet", APIVersion: "7.6", Object: "certificates/web", ObjectVersion: "1f0c",
		Caller:            Claims{ObjectID: "d9da5048-2737-4770-bd64-1f1f1f1f1f1f", UPN: "ann@example.net", AppID: "00001111-aaaa-2222-bbbb-3333cccc4444"},
		AddressAuthorized: new(true), Permission: &Permission{RBAC: true, Allowed: true, AssignmentID: "as-1"},
	}, 200)

	var want map[string]any
	if err := json.Unmarshal([]byte(strings.Replace(contractRecord, "REQUEST", e.RequestID(), 1)), &want); err != nil {
		t.Fatal(err)
	}
	got := readLines(t, l.cfg.Path)
	if diff := cmp.Diff([]map[string]any{want}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		o                      Outcome
		kind, signature, descr string
	}{
		{Outcome{Status: 204}, "Success", "NoContent", ""},
		{Outcome{Status: 202, Message: "never shown"}, "Success", "Accepted", ""},
		{Outcome{Status: 400, Message: "Property x has invalid value\r\n"}, "Failure", "BadRequest", "Property x has invalid value\r\n"},
		{Outcome{Status: 429, Message: strings.Repeat("ü", 600)}, "Failure", "TooManyRequests", strings.Repeat("ü", 512)},
		{Outcome{Status: 500}, "Failure", "InternalServerError", ""},
		{Outcome{Status: 409}, "Failure", "Conflict", ""},
		{Outcome{Status: 204, NotNeeded: true, Message: "It was recovered."}, "NotNeeded", "NoContent", "It was recovered."},
		{Outcome{Status: 503, Unknown: true, Message: "It may have taken effect."}, "Unknown", "ServiceUnavailable", "It may have taken effect."},
	} {
		l := openLog(t, Config{})
		entry := l.Begin(arrival)
		tt.o.ErrorCode, tt.o.InnerErrorCode = "Forbidden", "ForbiddenByRbac"
		if err := entry.Finish(&Facts{}, tt.o); err != nil {
			t.Fatal(err)
		}
		got := readLines(t, l.cfg.Path)[0]
		props := got["properties"].(map[string]any)
		if got["resultType"] != tt.kind || got["resultSignature"] != tt.signature || got["resultDescription"] != tt.descr {
			t.Errorf("%d: %v", tt.o.Status, got)
		}
		if props["errorCode"] != "Forbidden" || props["innerErrorCode"] != "ForbiddenByRbac" || props["httpStatusCode"] != float64(tt.o.Status) {
			t.Errorf("%d: %v", tt.o.Status, props)
		}
		if _, reached := props["isRbacAuthorized"]; reached {
			t.Error("a gate that was not reached has an outcome")
		}
	}
}

func TestDetailsAreNamedMembers(t *testing.T) {
	l := openLog(t, Config{})
	e := l.Begin(arrival)
	finishWith(t, e, &Facts{
		Operation: "CertificateCreate",
		Details: Details{
			Certificate: &CertificateProperties{Subject: "CN=web", SHA1: "aa", SHA256: "bb", NBF: 1, EXP: 2, Enabled: true},
			Request:     &RequestProperties{Status: "inProgress", RequestID: "r1"},
		},
		Before: &Details{Certificate: &CertificateProperties{Subject: "CN=old"}},
		Also: []Also{{"CertificatePolicySet",
			Details{Policy: &PolicyProperties{Key: &KeyProperties{Type: "RSA", Size: 2048}, Subject: "CN=<web>", Issuer: "Self"}}}},
	}, 202)

	lines := readLines(t, l.cfg.Path)
	if len(lines) != 2 || lines[0]["operationName"] != "CertificateCreate" || lines[1]["operationName"] != "CertificatePolicySet" {
		t.Fatalf("%v", lines)
	}
	pick := func(m map[string]any, names ...string) map[string]any {
		out := map[string]any{}
		for _, n := range names {
			out[n] = m["properties"].(map[string]any)[n]
		}
		return out
	}
	type object = map[string]any
	if diff := cmp.Diff(object{
		"certificatePolicyProperties": object{"keyProperties": object{"type": "RSA", "size": 2048.0}, "subject": "CN=<web>", "issuer": "Self"},
		"certificateProperties":       nil, "before": nil, "requestId": e.RequestID(),
	}, pick(lines[1], "certificatePolicyProperties", "certificateProperties", "before", "requestId")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(object{
		"certificateProperties":        object{"subject": "CN=web", "sha1": "aa", "sha256": "bb", "nbf": 1.0, "exp": 2.0, "enabled": true},
		"certificateRequestProperties": object{"status": "inProgress", "requestId": "r1", "cancellationRequested": false},
		"before":                       object{"certificateProperties": object{"subject": "CN=old", "sha1": "", "sha256": "", "nbf": 0.0, "exp": 0.0, "enabled": false}},
		"certificatePolicyProperties":  nil,
	}, pick(lines[0], "certificateProperties", "certificateRequestProperties", "before", "certificatePolicyProperties")); diff != "" {
		t.Error(diff)
	}
	if raw, _ := os.ReadFile(l.cfg.Path); !strings.Contains(string(raw), "CN=<web>") {
		t.Error("the record is escaped for HTML")
	}
}

// Merge names every member once; a new one must not be forgotten.
func TestMergeTakesEveryMember(t *testing.T) {
	var full, got Details
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		v.Field(i).Set(reflect.New(v.Field(i).Type().Elem()))
	}
	got.Merge(full)
	if got != full {
		t.Errorf("%+v", got)
	}
	got.Merge(Details{})
	if got != full {
		t.Error("nil members change something")
	}
}

func TestUnauthenticatedCallsByMode(t *testing.T) {
	for _, tt := range []struct {
		mode    Mode
		atAll   int
		failure any
	}{{"", 1, "AKV10010"}, {WithToken, 1, "AKV10010"}, {All, 2, "AKV10010"}, {None, 0, nil}} {
		l := openLog(t, Config{Unauthenticated: tt.mode})
		for _, token := range []bool{true, false} {
			e := l.Begin(arrival)
			finishWith(t, e, &Facts{Operation: "SecretGet", Caller: Claims{AppID: "unproven"}, Unauthenticated: &Unauthenticated{"AKV10010", token}}, 401)
		}
		lines := readLines(t, l.cfg.Path)
		finish(t, l.Begin(arrival), 403)
		if n := len(readLines(t, l.cfg.Path)); n != len(lines)+1 {
			t.Errorf("%q: an authenticated call is not recorded", tt.mode)
		}
		if len(lines) != tt.atAll {
			t.Errorf("%q: %d records", tt.mode, len(lines))
		}
		for _, m := range lines {
			if m["operationName"] != "Authentication" || m["resultSignature"] != "Unauthorized" ||
				m["properties"].(map[string]any)["authenticationFailure"] != tt.failure || len(m["identity"].(map[string]any)["claim"].(map[string]any)) != 0 {
				t.Errorf("%q: %v", tt.mode, m)
			}
		}
	}
}

func TestMaskURI(t *testing.T) {
	for in, want := range map[string]string{
		"https://kv1.test/secrets?api-version=7.6":                     "https://kv1.test/secrets?api-version=7.6",
		"https://kv1.test/secrets":                                     "https://kv1.test/secrets",
		"https://kv1.test/secrets?$skiptoken=abc&api-version=7.6":      "https://kv1.test/secrets?$skiptoken=***&api-version=7.6",
		"https://kv1.test/secrets?a=1&%24SkipToken=abc":                "https://kv1.test/secrets?a=1&%24SkipToken=***",
		"https://kv1.test/secrets?%24%73kiptoken=a=b":                  "https://kv1.test/secrets?%24%73kiptoken=***",
		"https://kv1.test/secrets?$skiptoken=a?b&$skiptoken=c":         "https://kv1.test/secrets?$skiptoken=***&$skiptoken=***",
		"https://kv1.test/secrets?%zz=abc":                             "https://kv1.test/secrets?%zz=***",
		"https://kv1.test/token?client_secret=s&ACCESS_TOKEN=t&x=1":    "https://kv1.test/token?client_secret=***&ACCESS_TOKEN=***&x=1",
		"https://kv1.test/secrets?+$skiptoken=abc":                     "https://kv1.test/secrets?+$skiptoken=***",
		"https://kv1.test/secrets?$skiptoken":                          "https://kv1.test/secrets?$skiptoken=***",
		"https://kv1.test/" + strings.Repeat("a", 5000):                "https://kv1.test/" + strings.Repeat("a", 4096-17),
		"https://kv1.test/secrets?maxresults=2&$skiptoken=" + "x#frag": "https://kv1.test/secrets?maxresults=2&$skiptoken=***",
	} {
		if got := maskURI(in); got != want {
			t.Errorf("%.80s: %.120s", in, got)
		}
	}
}

// What a caller sends is bounded, and is one line of valid JSON.
func TestCallersTextIsHarmless(t *testing.T) {
	l := openLog(t, Config{})
	e := l.Begin(arrival)
	bad := "a\n\"}{\xff\u2028\x00" + strings.Repeat("x", 10000)
	f := Facts{
		Request:    Request{Address: bad, URI: bad, UserAgent: bad, CorrelationID: bad, TLSVersion: 0x0303},
		APIVersion: bad, Caller: Claims{ObjectID: bad, UPN: bad, AppID: bad}, Algorithm: bad,
	}
	if err := e.Finish(&f, Outcome{Status: 400, Message: bad}); err != nil {
		t.Fatal(err)
	}
	m := readLines(t, l.cfg.Path)
	if len(m) != 1 {
		t.Fatalf("%d lines", len(m))
	}
	if got := m[0]["properties"].(map[string]any)["clientInfo"].(string); len([]rune(got)) != 512 {
		t.Errorf("%d characters of User-Agent", len([]rune(got)))
	}
	if info, _ := os.Stat(l.cfg.Path); info.Size() > 64<<10 {
		t.Errorf("the line has %d bytes", info.Size())
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("{}\ntorn"), 0o644); err != nil { // by someone careless
		t.Fatal(err)
	}
	l := openLog(t, Config{Path: path, MaxBytes: 1})
	finish(t, intended(t, l), 200)
	finish(t, l.Begin(arrival), 200)
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 4 { // the log, its intents, what was torn, what was rotated
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
}

// guid is the form of a random GUID (RFC 9562, section 5.4).
var guid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestEntriesAreWrittenOnce(t *testing.T) {
	l := openLog(t, Config{})
	e := intended(t, l)
	finish(t, e, 200)
	finish(t, e, 500)
	if got := results(t, l.cfg.Path, e.RequestID()); len(got) != 1 || got[0] != "Success" {
		t.Errorf("%v", got)
	}
	if err := e.Intent(t.Context(), &Facts{}); err == nil {
		t.Error("an intent after the outcome")
	}
	if id := e.RequestID(); !guid.MatchString(id) || id == l.Begin(arrival).RequestID() {
		t.Error(id)
	}
}

func TestConfigIsChecked(t *testing.T) {
	dir := t.TempDir()
	for _, cfg := range []Config{{}, {Path: dir}, {Path: filepath.Join(dir, "no", "such", "log")},
		{Path: filepath.Join(dir, "a"), Unauthenticated: "some"}, {Path: filepath.Join(dir, "a"), MaxBytes: -1}} {
		if l, err := Open(cfg); err == nil {
			l.Close()
			t.Errorf("opened: %+v", cfg)
		}
	}
}
