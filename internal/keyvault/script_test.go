package keyvault_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// The wire scripts in testdata are txtar archives; each file is one exchange:
//
//	METHOD TARGET            the request; Host: dev.vault.test and Ann's token
//	Header: value            unless a header says otherwise; "Header:" sends none
//
//	body                     lines are joined, their indentation dropped
//	=> STATUS                the answer, header by header and byte by byte
//	Header: value
//
//	body
//
// Before the request, "! work" does the jobs that are due, "! later 1h" moves the
// clock, and "! hsm out" pulls the HSM out, which "! hsm in" brings back. {name=hex} takes 32 hexadecimal digits and gives them a name,
// {name} stands for what was taken. The kinds are below. {sign:csr} is an x5c
// element: a certificate for the request named csr, by a CA from outside.
var kinds = map[string]string{
	"hex":    `[0-9a-f]{32}`,
	"int":    `[0-9]+`,
	"b64":    `[A-Za-z0-9+/]+={0,2}`,
	"b64url": `[A-Za-z0-9_-]+`,
	"x5t":    `[A-Za-z0-9_-]{27}`,
	"guid":   `[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`,
	"text":   `.+?`,
}

var placeholder = regexp.MustCompile(`\{([a-zA-Z0-9_:]+)(?:=([a-z0-9]+))?\}`)

func TestWireScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatalf("only %d scripts (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{installation: newInstallation(t), vars: map[string]string{}}
			m := testMaterial()
			s.vars["pfx"], s.vars["pem"], s.vars["leaf"] = m.pfx, jsonText(m.pem), m.leaf
			s.vars["beyond"], s.vars["beyondname"] = jsonText(m.beyond), strings.Repeat("n", 210)
			s.vars["keyless"], s.vars["expired"] = jsonText(m.keyless), jsonText(m.expired)
			s.vars["ca"] = base64.StdEncoding.EncodeToString(testCA().cert.Raw)
			for _, f := range txtar.Parse(text).Files {
				s.exchange(t, f.Name, string(f.Data))
			}
		})
	}
}

// jsonText is s as the inside of a JSON string.
func jsonText(s string) string {
	b := must(json.Marshal(s))
	return string(b[1 : len(b)-1])
}

type script struct {
	*installation
	vars map[string]string
}

func (s *script) exchange(t *testing.T, name, text string) {
	t.Helper()
	request, want, ok := strings.Cut(text, "\n=> ")
	if !ok {
		t.Fatalf("%s: no answer", name)
	}
	for strings.HasPrefix(request, "!") {
		var directive string
		directive, request, _ = strings.Cut(request, "\n")
		word, arg, _ := strings.Cut(strings.TrimSpace(directive[1:]), " ")
		switch word {
		case "work":
			s.work(t)
		case "hsm":
			s.hsm.Pull(arg == "out")
		case "later":
			s.now = s.now.Add(must(time.ParseDuration(arg)))
		default:
			t.Fatalf("%s: unknown directive %s", name, word)
		}
	}
	got := s.send(t, s.fill(t, request))
	if problem := s.compare(got, want); problem != "" {
		t.Fatalf("%s\n%s\n\n%s\n=> %d\n%v\n%s", name, request, problem, got.Code, got.Header(), got.Body)
	}
}

// split separates the first line, the headers and the joined body.
func split(text string) (first string, headers [][2]string, body string) {
	head, rest, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
	first, lines, _ := strings.Cut(head, "\n")
	for line := range strings.SplitSeq(lines, "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			headers = append(headers, [2]string{k, strings.TrimSpace(v)})
		}
	}
	var b strings.Builder
	for line := range strings.SplitSeq(rest, "\n") {
		b.WriteString(strings.TrimSpace(line))
	}
	return first, headers, b.String()
}

// fill puts values where the request names them.
func (s *script) fill(t *testing.T, text string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		name := p[1 : len(p)-1]
		if rest, ok := strings.CutPrefix(name, "base64:"); ok {
			return base64.StdEncoding.EncodeToString([]byte(s.fill(t, "{"+rest+"}")))
		}
		if csr, ok := strings.CutPrefix(name, "sign:"); ok {
			der := must(base64.StdEncoding.DecodeString(s.vars[csr]))
			req := must(x509.ParseCertificateRequest(der))
			return base64.StdEncoding.EncodeToString(testCA().sign(req.PublicKey, "merged.example.net",
				beginning.AddDate(0, 0, -1), beginning.AddDate(1, 0, 0)))
		}
		v, ok := s.vars[name]
		if !ok {
			return p
		}
		return v
	})
}

func (s *script) send(t *testing.T, text string) *httptest.ResponseRecorder {
	t.Helper()
	first, headers, body := split(text)
	verb, target, _ := strings.Cut(first, " ")
	r := httptest.NewRequest(verb, "http://dev.vault.test/", strings.NewReader(body))
	r.Host = "dev.vault.test"
	r.Header.Set("Authorization", "Bearer ann")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	u, err := r.URL.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	// As a server parses it: a target that begins with two slashes has no host.
	path, query, _ := strings.Cut(target, "?")
	u.Host, u.RawQuery = "", query
	u.Path, u.RawPath = must(url.PathUnescape(path)), path
	r.URL = u
	for _, h := range headers {
		switch {
		case h[0] == "Host":
			r.Host = h[1]
		case h[1] == "":
			r.Header.Del(h[0])
		default:
			r.Header.Set(h[0], h[1])
		}
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// compare says how the answer differs, "" when it does not.
func (s *script) compare(got *httptest.ResponseRecorder, want string) string {
	status, headers, body := split(want)
	if status = strings.Fields(status)[0]; status != fmt.Sprint(got.Code) {
		return "the status is not " + status
	}
	rest := got.Header().Clone()
	for _, always := range alwaysHeaders {
		if problem := s.match(always[0], always[1], rest.Get(always[0])); problem != "" {
			return problem
		}
		rest.Del(always[0])
	}
	rest.Del("Content-Length")
	for _, h := range headers {
		if problem := s.match(h[0], h[1], rest.Get(h[0])); problem != "" {
			return problem
		}
		rest.Del(h[0])
	}
	if got.Code != http.StatusNoContent {
		if problem := s.match("Content-Type", "application/json; charset=utf-8", rest.Get("Content-Type")); problem != "" {
			return problem
		}
		rest.Del("Content-Type")
	}
	if len(rest) > 0 {
		return fmt.Sprintf("unexpected headers %v", rest)
	}
	if got.Code == http.StatusNoContent && got.Body.Len() > 0 {
		return "an answer without content has a body"
	}
	if problem := s.match("body", body, got.Body.String()); problem != "" {
		return problem
	}
	if got.Body.Len() > 0 && !json.Valid(got.Body.Bytes()) {
		return "the body is not JSON"
	}
	return ""
}

// alwaysHeaders are on every answer (contract errors.md, 2).
var alwaysHeaders = [][2]string{
	{"Cache-Control", "no-cache"}, {"Pragma", "no-cache"}, {"Expires", "-1"},
	{"Strict-Transport-Security", "max-age=31536000;includeSubDomains"}, {"X-Content-Type-Options", "nosniff"},
	{"x-ms-request-id", "{guid}"}, {"x-ms-keyvault-region", "local"},
	{"x-ms-keyvault-service-version", "1.9.2600.1"},
	{"x-ms-keyvault-network-info", "conn_type=Ipv4;addr=192.0.2.1;act_addr_fam=InterNetwork;"},
}

// match compares a text with a pattern and remembers what it takes.
func (s *script) match(what, pattern, got string) string {
	var re bytes.Buffer
	re.WriteString(`\A`)
	var names []string
	kindOf := map[string]string{} // of names that this pattern takes
	last := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(pattern, -1) {
		re.WriteString(regexp.QuoteMeta(pattern[last:at[0]]))
		last = at[1]
		name, kind := pattern[at[2]:at[3]], ""
		if at[4] >= 0 {
			kind = pattern[at[4]:at[5]]
		}
		switch {
		case kind != "" || kindOf[name] != "":
			if kind != "" {
				kindOf[name] = kind
			}
			names = append(names, name)
			re.WriteString("(" + kinds[kindOf[name]] + ")")
		case kinds[name] != "":
			re.WriteString(kinds[name])
		case s.vars[name] != "":
			re.WriteString(regexp.QuoteMeta(s.vars[name]))
		default:
			return what + ": nothing is named " + name
		}
	}
	re.WriteString(regexp.QuoteMeta(pattern[last:]) + `\z`)
	m := regexp.MustCompile(re.String()).FindStringSubmatch(got)
	if m == nil {
		return fmt.Sprintf("%s:\n got %s\nwant %s", what, got, pattern)
	}
	taken := map[string]string{}
	for i, name := range names {
		if v, ok := taken[name]; ok && v != m[i+1] {
			return fmt.Sprintf("%s: %s is %s and %s", what, name, v, m[i+1])
		}
		taken[name] = m[i+1]
	}
	maps.Copy(s.vars, taken)
	return ""
}
