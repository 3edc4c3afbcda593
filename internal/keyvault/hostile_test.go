package keyvault_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// samples are bodies with every member that is read, for each operation that has
// one. They are for the newest version, which reads them all.
var samples = []struct{ verb, path, body string }{
	{"POST", "/certificates/web/create", `{"policy":` + samplePolicy + `,"attributes":{"enabled":true},"tags":{"a":"b"},"preserveCertOrder":true}`},
	{"POST", "/certificates/web/import", `{"value":"AAAA","pwd":"x","policy":` + samplePolicy + `,"attributes":{"enabled":true},"tags":{"a":"b"},"preserveCertOrder":true}`},
	{"PATCH", "/certificates/web", `{"policy":` + samplePolicy + `,"attributes":{"enabled":true},"tags":{"a":"b"}}`},
	{"PATCH", "/certificates/web/policy", samplePolicy},
	{"PATCH", "/certificates/web/pending", `{"cancellation_requested":true}`},
	{"POST", "/certificates/web/pending/merge", `{"x5c":["AAAA"],"attributes":{"enabled":true},"tags":{"a":"b"}}`},
	{"POST", "/certificates/restore", `{"value":"AAAA"}`},
	{"PUT", "/certificates/contacts", `{"contacts":[{"email":"a@b.c","name":"A","phone":"1"}]}`},
	{"PUT", "/certificates/issuers/corp", sampleIssuer},
	{"PATCH", "/certificates/issuers/corp", sampleIssuer},
	{"PUT", "/secrets/plain", `{"value":"x",` + sampleChange + `}`},
	{"PATCH", "/secrets/plain", `{` + sampleChange + `}`},
	{"PATCH", "/secrets/plain/00000000000000000000000000000000", `{` + sampleChange + `}`},
	{"POST", "/secrets/restore", `{"value":"AAAA"}`},
	{"POST", "/keys/plain/create", `{"kty":"EC","key_size":256,"crv":"P-256","public_exponent":65537,"key_ops":["sign"],` + sampleGiven + `}`},
	{"PUT", "/keys/plain", `{"key":{"kty":"RSA","crv":"P-256","key_ops":["sign"],"n":"AQAB","e":"AQAB","d":"AQAB","p":"AQAB","q":"AQAB",
"dp":"AQAB","dq":"AQAB","qi":"AQAB","x":"AQAB","y":"AQAB","k":"AQAB",
"key_hsm":"eyJzY2hlbWFfdmVyc2lvbiI6IjEuMC4wIiwiaGVhZGVyIjp7ImtpZCI6Imh0dHBzOi8vZGV2LnZhdWx0LnRlc3Qva2V5cy9rZWsvMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYiLCJhbGciOiJkaXIiLCJlbmMiOiJDS01fUlNBX0FFU19LRVlfV1JBUCJ9LCJjaXBoZXJ0ZXh0IjoiQUFBQSJ9"},"Hsm":false,` + sampleGiven + `}`},
	{"PATCH", "/keys/plain", `{"key_ops":["sign"],` + sampleGiven + `}`},
	{"PATCH", "/keys/plain/00000000000000000000000000000000", `{"key_ops":["sign"],` + sampleGiven + `}`},
	{"PUT", "/keys/plain/rotationpolicy", `{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P30D","timeBeforeExpiry":"P30D"},"action":{"type":"Rotate"}}],
"attributes":{"expiryTime":"P90D"}}`},
	{"POST", "/keys/plain/sign", `{"alg":"ES256","value":"AAAA"}`},
	{"POST", "/keys/plain/verify", `{"alg":"ES256","digest":"AAAA","value":"AAAA"}`},
	{"POST", "/keys/plain/encrypt", `{"alg":"RSA-OAEP","value":"AAAA","iv":"AAAA","aad":"AAAA","tag":"AAAA"}`},
	{"POST", "/keys/plain/decrypt", `{"alg":"RSA-OAEP","value":"AAAA","iv":"AAAA","aad":"AAAA","tag":"AAAA"}`},
	{"POST", "/keys/plain/wrapkey", `{"alg":"RSA-OAEP","value":"AAAA"}`},
	{"POST", "/keys/plain/unwrapkey", `{"alg":"RSA-OAEP","value":"AAAA"}`},
	{"POST", "/keys/plain/release", `{"target":"a","nonce":"b","enc":"c"}`},
	{"POST", "/keys/restore", `{"value":"AAAA"}`},
	{"POST", "/rng", `{"count":1}`},
}

const (
	samplePolicy = `{"key_props":{"kty":"EC","key_size":256,"crv":"P-256","exportable":true,"reuse_key":false},
"secret_props":{"contentType":"application/x-pkcs12"},
"x509_props":{"subject":"CN=x","sans":{"emails":["a@b.c"],"dns_names":["a.b"],"upns":["a@b"],"uris":["https://a.b/"],"ipAddresses":["192.0.2.1"]},
 "ekus":["1.3.6.1.5.5.7.3.1"],"key_usage":["digitalSignature"],"validity_months":12,"basic_constraints":{"ca":true,"path_len_constraint":1}},
"lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"AutoRenew"}}],
"issuer":{"name":"Self","cty":"OV-SSL","cert_transparency":true},
"attributes":{"enabled":true},
"platform_managed":{"certificate_usage":"x","metadata":"y"}}`
	sampleChange = `"contentType":"t","attributes":{"enabled":true,"nbf":1,"exp":253402300799},"tags":{"a":"b"}`
	sampleGiven  = `"attributes":{"enabled":true,"nbf":1,"exp":253402300799,"exportable":false,"external_key":{}},"tags":{"a":"b"},
"release_policy":{"contentType":"a","data":"AAAA","immutable":true}`
	sampleIssuer = `{"provider":"Test","credentials":{"account_id":"1","pwd":"2"},
"org_details":{"id":"3","admin_details":[{"first_name":"a","last_name":"b","email":"c","phone":"d"}]},"attributes":{"enabled":true}}`
)

// leaf is one place in a body: where it is, and the same body with something
// else there.
type leaf struct {
	path string
	kind byte // of its value: s, n, b, o, a
	with func(replacement string) string
}

// leaves walks over a JSON text. Members of tags are told as tags, since their
// names are the caller's.
func leaves(text string) []leaf {
	var out []leaf
	var walk func(raw json.RawMessage, path string, with func(string) string)
	walk = func(raw json.RawMessage, path string, with func(string) string) {
		out = append(out, leaf{path, kindOf(raw), with})
		switch raw[0] {
		case '{':
			var members map[string]json.RawMessage
			if err := json.Unmarshal(raw, &members); err != nil {
				panic(err)
			}
			for name, value := range members {
				inner := strings.TrimPrefix(path+"."+name, ".")
				if strings.HasSuffix(path, "tags") {
					inner = path
				}
				walk(value, inner, func(r string) string {
					changed := map[string]json.RawMessage{}
					for k, v := range members {
						changed[k] = v
					}
					changed[name] = json.RawMessage(r)
					return with(string(must(json.Marshal(changed))))
				})
			}
		case '[':
			var items []json.RawMessage
			if err := json.Unmarshal(raw, &items); err != nil {
				panic(err)
			}
			for i, item := range items {
				walk(item, fmt.Sprintf("%s[%d]", path, i), func(r string) string {
					changed := slices.Clone(items)
					changed[i] = json.RawMessage(r)
					return with(string(must(json.Marshal(changed))))
				})
			}
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text)); err != nil {
		panic(err)
	}
	walk(compact.Bytes(), "", func(s string) string { return s })
	return out
}

func kindOf(raw json.RawMessage) byte {
	switch raw[0] {
	case '"':
		return 's'
	case '{':
		return 'o'
	case '[':
		return 'a'
	case 't', 'f':
		return 'b'
	}
	return 'n'
}

// TestWrongTypesNameTheirField puts every wrong type in every place.
func TestWrongTypesNameTheirField(t *testing.T) {
	w := newInstallation(t)
	wrong := []struct {
		kind byte
		text string
	}{
		{'s', `"text"`}, {'n', `12`}, {'n', `1.5`}, {'n', `1e3`}, {'n', `99999999999999999999`}, {'b', `true`},
		{'o', `{}`}, {'a', `[]`}, {'a', `[[]]`}, {'s', `"nul\u0000"`},
	}
	tried := 0
	anyText := func(verb, path, text string) bool { // the value of a secret is any text
		return verb == "PUT" && path == "value" && strings.Contains(text, "nul")
	}
	for _, s := range samples {
		for _, l := range leaves(s.body) {
			for _, r := range wrong {
				odd := r.text == `1.5` || r.text == `1e3` || r.text == `99999999999999999999` || strings.Contains(r.text, "nul")
				if r.kind == l.kind && !odd || r.text == `[[]]` && l.kind == 'a' && strings.HasSuffix(l.path, "[0]") || anyText(s.verb, l.path, r.text) {
					continue
				}
				path := l.path
				if s.path == "/certificates/web/policy" {
					path = strings.TrimSuffix("policy."+path, ".")
					if l.path == "" {
						path = ""
					}
				}
				tried++
				rec := w.do(s.verb, s.path+"?api-version=2026-07-01-preview", l.with(r.text))
				code, message := errorOf(t, rec)
				if rec.Code != http.StatusBadRequest || code != "BadParameter" ||
					!strings.Contains(message, "Property "+path+" has invalid value") {
					t.Errorf("%s %s: %q for %s gives %d %s", s.verb, s.path, r.text, path, rec.Code, rec.Body)
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d bodies", tried)
	}
}

// TestNullEqualsAbsent puts null in every place: what is left is refused for
// what it lacks, or taken, but never for the null; elements of arrays are no
// members.
func TestNullEqualsAbsent(t *testing.T) {
	w := newInstallation(t)
	for _, s := range samples {
		for _, l := range leaves(s.body) {
			if l.path == "" || strings.HasSuffix(l.path, "]") || strings.HasSuffix(l.path, "tags") {
				continue
			}
			rec := w.do(s.verb, s.path+"?api-version=2026-07-01-preview", l.with("null"))
			if rec.Code >= 500 {
				t.Errorf("%s %s without %s: %d %s", s.verb, s.path, l.path, rec.Code, rec.Body)
			}
			if strings.Contains(rec.Body.String(), "Property "+l.path+" has invalid value\\r\\n") && l.path != "policy" {
				t.Errorf("%s %s: null for %s gives %s", s.verb, s.path, l.path, rec.Body)
			}
			if rec.Code == http.StatusAccepted { // make room for the next
				w.do("DELETE", "/certificates/web?api-version=7.6", "")
				w.do("DELETE", "/deletedcertificates/web?api-version=7.6", "")
			}
		}
	}
}

func TestShapesAreBounded(t *testing.T) {
	w := newInstallation(t)
	deep := func(n int) string {
		return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
	}
	wide := func(n int) string {
		return `{"a":[` + strings.TrimSuffix(strings.Repeat("1,", n), ",") + `]}`
	}
	for _, tc := range []struct {
		name, body string
		status     int
		message    string
	}{
		{"32 levels", deep(32), 404, "not found"},
		{"33 levels", deep(33), 400, "deeper than 32"},
		{"a hundred thousand levels", deep(100_000), 400, "deeper than 32"},
		{"brackets in strings", `{"a":"` + strings.Repeat("[", 100) + `\"{{{{"}`, 404, "not found"},
		{"nine thousand members", wide(9_000), 404, "not found"},
		{"eleven thousand members", wide(11_000), 400, "more than 10000 members"},
		{"two hundred thousand members", wide(200_000), 400, "more than 10000 members"},
		{"a byte order mark", "\xef\xbb\xbf{}", 404, "not found"},
		{"bytes that are no text", "{\"tags\":{\"a\":\"\xff\"}}", 400, "Property  has"},
		{"two objects", `{}{}`, 400, "Property  has"},
		{"nothing but blanks", "  \r\n", 400, "Property  has"},
		{"a string", `"tags"`, 400, "Property  has"},
		{"null", `null`, 400, "Property  has"},
		{"more than a mebibyte", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "too large"},
	} {
		rec := w.do("PATCH", "/certificates/nobody?api-version=7.6", tc.body)
		if rec.Code != tc.status || !strings.Contains(rec.Body.String(), tc.message) {
			t.Errorf("%s: %d %.300s", tc.name, rec.Code, rec.Body)
		}
	}
	// Without a length, the limit holds all the same.
	for _, limit := range []struct {
		path   string
		size   int
		status int
	}{
		{"/certificates/nobody/create", 1<<20 + 1, 413}, {"/certificates/restore", 1<<20 + 1, 400}, {"/certificates/restore", 16<<20 + 1, 413},
	} {
		r := newRequest("POST", limit.path+"?api-version=7.6", endless(limit.size))
		r.ContentLength = -1
		if rec := w.serveHTTP(r); rec.Code != limit.status {
			t.Errorf("%s: %d bytes give %d %.200s", limit.path, limit.size, rec.Code, rec.Body)
		}
	}
	// Lengths that are announced need not be sent.
	r := newRequest("GET", "/certificates?api-version=7.6", strings.NewReader(""))
	r.ContentLength = 1 << 40
	if rec := w.serveHTTP(r); rec.Code != 413 {
		t.Errorf("a terabyte was waited for: %d", rec.Code)
	}
}

func TestLongTextsAreBounded(t *testing.T) {
	w := newInstallation(t)
	long := strings.Repeat("a", 5000)
	for _, route := range w.handler.Routes() {
		if !strings.Contains(route.Pattern, "{name}") && !strings.Contains(route.Pattern, "{issuer}") {
			continue
		}
		for _, name := range []string{long, "a_b", "a%00b", "%2e%2e", "a%20b", "%C3%A4", "a.b", "%ff", "%252F"} {
			rec := w.do(route.Verb, pathOf(route.Pattern, name, someVersion)+"?api-version=7.6", "{}")
			if code, _ := errorOf(t, rec); rec.Code != 400 || code != "BadParameter" || rec.Body.Len() > 1000 {
				t.Errorf("%s %s with %.20s: %d %.200s", route.Verb, route.Pattern, name, rec.Code, rec.Body)
			}
		}
		if strings.Contains(route.Pattern, "{version}") {
			for _, version := range []string{long, "a%00b", "%ff", "..", "latest"} {
				rec := w.do(route.Verb, pathOf(route.Pattern, "web", version)+"?api-version=7.6", "{}")
				if rec.Code >= 500 || rec.Body.Len() > 1000 || rec.Code == 200 {
					t.Errorf("%s %s with %.20s: %d %.200s", route.Verb, route.Pattern, version, rec.Code, rec.Body)
				}
			}
		}
	}
	for _, target := range []string{"?api-version=" + long, "?api-version=7.6&maxresults=" + long, "?api-version=7.6&$skiptoken=" + long} {
		rec := w.do("GET", "/certificates"+target, "")
		if rec.Code != 400 || rec.Body.Len() > 1000 {
			t.Errorf("%.40s: %d, %d bytes", target, rec.Code, rec.Body.Len())
		}
	}
	rec := w.do("GET", "/certificates?api-version=7.6", "", "x-ms-client-request-id", "a\x7f\u00e4"+long)
	if got := rec.Header().Get("x-ms-client-request-id"); got != long[:128] {
		t.Errorf("the echo is %q", got)
	}
}

func TestMaterialIsBounded(t *testing.T) {
	w := newInstallationWith(t, busy{})
	rec := w.do("POST", "/certificates/web/import?api-version=7.6", `{"value":"`+strings.Repeat("A", 300<<10)+`"}`)
	if _, message := errorOf(t, rec); rec.Code != 400 || message != "The size of the X.509 certificate is too long" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	rec = w.do("POST", "/certificates/web/create?api-version=7.6", `{"policy":{"x509_props":{"subject":"CN=x"}}}`)
	if code, _ := errorOf(t, rec); rec.Code != 429 || code != "Throttled" || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
}

func TestSecretsAreBounded(t *testing.T) {
	w := newInstallation(t)
	text := func(n int, s string) string { return strings.Repeat(s, n) }
	tags := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%d":"x"`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for _, tc := range []struct {
		name, members  string
		status         int
		inner, message string
	}{
		{"the longest value", `"value":"` + text(25_600, "a") + `"`, 200, "", ""},
		{"a longer one", `"value":"` + text(25_601, "a") + `"`, 400, "SecretTooLarge", "Secret is beyond the maximum permitted length of 25600 characters."},
		{"a longer one in fewer characters", `"value":"` + text(12_801, "ä") + `"`, 400, "SecretTooLarge", "Secret is beyond"},
		{"a value of escapes", `"value":"` + text(25_600, `\u0000`) + `"`, 200, "", ""},
		{"the longest content type", `"value":"","contentType":"` + text(255, "a") + `"`, 200, "", ""},
		{"a longer content type", `"value":"","contentType":"` + text(256, "a") + `"`, 400, "", "Property contentType has invalid value. It has at most 255 characters."},
		{"15 tags", `"value":"","tags":` + tags(15), 200, "", ""},
		{"16 tags", `"value":"","tags":` + tags(16), 400, "", "Property tags has invalid value. At most 15 tags"},
		{"the longest tag", `"value":"","tags":{"` + text(512, "k") + `":"` + text(512, "v") + `"}`, 200, "", ""},
		{"a longer tag", `"value":"","tags":{"k":"` + text(513, "v") + `"}`, 400, "", "at most 512 characters"},
		{"the year 9999", `"value":"","attributes":{"exp":253402300799}`, 200, "", ""},
		{"the year 10000", `"value":"","attributes":{"exp":253402300800}`, 400, "", "Property attributes.exp has invalid value"},
		{"before 1970", `"value":"","attributes":{"nbf":-1}`, 400, "", "Property attributes.nbf has invalid value"},
	} {
		rec := w.do("PUT", "/secrets/web?api-version=7.6", "{"+tc.members+"}")
		if rec.Code != tc.status || tc.status != 200 && (!strings.Contains(rec.Body.String(), tc.message) || rec.Body.Len() > 1000) ||
			strings.Contains(rec.Body.String(), "innererror") != (tc.inner != "") || !strings.Contains(rec.Body.String(), tc.inner) {
			t.Errorf("%s: %d %.300s", tc.name, rec.Code, rec.Body)
		}
	}
}
