package login_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/guid"
	"coffer/internal/login"
	"coffer/internal/pipeline"
)

const v2Token, v1Token, adfsToken = "/" + tenant + "/oauth2/v2.0/token", "/" + tenant + "/oauth2/token", "/adfs/oauth2/token"

func TestTokenEndpoints(t *testing.T) {
	d := newDoor(t)
	for name, c := range map[string]struct {
		path string
		form url.Values
		want string // aud
		v1   bool
	}{
		"v2":                      {v2Token, d.form(), resource, false},
		"v2, scope of Go":         {v2Token, d.form("scope", resource+"/.default openid offline_access profile"), resource, false},
		"v2, slash kept":          {v2Token, d.form("scope", resource+"//.default"), resource + "/", false},
		"v1":                      {v1Token, d.form("scope", "", "resource", resource+"/"), resource + "/", true},
		"v1 with scope":           {v1Token, d.form(), resource, true},
		"adfs":                    {adfsToken, d.form(), resource, true},
		"adfs with resource":      {adfsToken, d.form("scope", "", "resource", resource), resource, true},
		"adfs as aio spells it":   {"/adfs/oauth2/v2.0/token", d.form(), resource, true},
		"common":                  {"/common/oauth2/v2.0/token", d.form(), resource, false},
		"upper case":              {strings.ToUpper(v2Token), d.form(), resource, false},
		"slash at the end":        {v2Token + "/", d.form(), resource, false},
		"query of JavaScript":     {v2Token + "?client-request-id=1&client_secret=x&%zz", d.form(), resource, false},
		"bare question mark":      {v2Token + "?", d.form(), resource, false},
		"claims and telemetry":    {v2Token, d.form("claims", `{"access_token":{}}`, "client_info", "1", "x-client-SKU", "go"), resource, false},
		"client id in capitals":   {v2Token, d.form("client_id", strings.ToUpper(d.app.AppID)), resource, false},
		"the public cloud's name": {v2Token, d.form("scope", "https://vault.azure.net/.default"), "https://vault.azure.net", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.post(t, c.path, c.form.Encode())
			if a.status != 200 {
				t.Fatalf("%d: %s", a.status, a.text)
			}
			if h := a.header; h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("header %v", h)
			}
			if a.body["token_type"] != "Bearer" || a.body["expires_in"] != 3599.0 || a.body["ext_expires_in"] != 3599.0 {
				t.Errorf("body %v", a.body)
			}
			if _, ok := a.body["expires_on"].(string); ok != c.v1 || c.v1 && a.body["resource"] != c.want {
				t.Errorf("body %v", a.body)
			}
			if got := d.record.last().Audience; got != c.want {
				t.Errorf("minted for %q, want %q", got, c.want)
			}
			d.verify(t, a.body["access_token"].(string), d.app.ObjectID)
		})
	}
}

func TestTokenRefusals(t *testing.T) {
	d := newDoor(t)
	off, err := d.dir.CreateApplication(t.Context(), "off")
	must(t, err)
	_, offSecret, err := d.dir.AddSecret(t.Context(), off.ObjectID, time.Time{})
	must(t, err)
	must(t, d.dir.Disable(t.Context(), off.ObjectID))
	assertion := func(kind, text string) url.Values {
		return d.form("client_secret", "", "client_assertion_type", kind, "client_assertion", text)
	}
	const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	many := url.Values{}
	for n := range 70 {
		many.Set(fmt.Sprint("x", n), "1")
	}
	for name, c := range map[string]struct {
		path   string
		body   string
		status int
		error  string
		number float64
	}{
		"unknown client":        {v2Token, d.form("client_id", guid.New()).Encode(), 400, "unauthorized_client", 700016},
		"client id not a GUID":  {v2Token, d.form("client_id", "admin").Encode(), 400, "unauthorized_client", 700016},
		"disabled client":       {v2Token, d.form("client_id", off.AppID, "client_secret", offSecret).Encode(), 400, "unauthorized_client", 7000112},
		"wrong secret":          {v2Token, d.form("client_secret", "wrong").Encode(), 401, "invalid_client", 7000215},
		"another's secret":      {v2Token, d.form("client_secret", offSecret).Encode(), 401, "invalid_client", 7000215},
		"no proof":              {v2Token, d.form("client_secret", "").Encode(), 401, "invalid_client", 7000218},
		"two proofs":            {v2Token, d.form("client_assertion", "x").Encode(), 400, "invalid_request", 90013},
		"assertion type":        {v2Token, assertion("", "x").Encode(), 400, "invalid_request", 900144},
		"assertion junk":        {v2Token, assertion(jwtBearer, "x.y.z").Encode(), 401, "invalid_client", 700027},
		"assertion of nobody":   {v2Token, assertion(jwtBearer, "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL3gifQ.AA").Encode(), 401, "invalid_client", 70021},
		"no client":             {v2Token, d.form("client_id", "").Encode(), 400, "invalid_request", 900144},
		"no grant":              {v2Token, d.form("grant_type", "").Encode(), 400, "invalid_request", 900144},
		"password":              {v2Token, d.form("grant_type", "password").Encode(), 400, "unsupported_grant_type", 70003},
		"refresh token":         {v2Token, d.form("grant_type", "refresh_token").Encode(), 400, "unsupported_grant_type", 70003},
		"device code":           {adfsToken, d.form("grant_type", "device_code").Encode(), 400, "unsupported_grant_type", 70003},
		"device code start":     {"/" + tenant + "/oauth2/v2.0/devicecode", "client_id=x", 400, "unsupported_grant_type", 70003},
		"no scope":              {v2Token, d.form("scope", "").Encode(), 400, "invalid_request", 900144},
		"no resource":           {v1Token, d.form("scope", "").Encode(), 400, "invalid_request", 900144},
		"scope without default": {v2Token, d.form("scope", resource).Encode(), 400, "invalid_scope", 70011},
		"two resources":         {v2Token, d.form("scope", resource+"/.default https://vault.azure.net/.default").Encode(), 400, "invalid_scope", 70011},
		"only openid":           {v2Token, d.form("scope", "openid").Encode(), 400, "invalid_scope", 70011},
		"audience not ours":     {v2Token, d.form("scope", "https://graph.microsoft.com/.default").Encode(), 400, "invalid_resource", 500011},
		"v1 audience not ours":  {v1Token, d.form("resource", "https://management.azure.com/").Encode(), 400, "invalid_resource", 500011},
		"field twice":           {v2Token, d.form().Encode() + "&client_id=x", 400, "invalid_request", 90014},
		"field too long":        {v2Token, d.form("scope", strings.Repeat("x", 2000)).Encode(), 400, "invalid_request", 90014},
		"too many fields":       {v2Token, many.Encode(), 400, "invalid_request", 90013},
		"not a form":            {v2Token, "a=%zz", 400, "invalid_request", 90013},
		"body too large":        {v2Token, strings.Repeat("x", 64<<10+1), 413, "invalid_request", 90013},
		"another tenant":        {"/99999999-2222-4333-8444-555555555555/oauth2/v2.0/token", d.form().Encode(), 400, "invalid_tenant", 90002},
		"no such endpoint":      {"/adfs/oauth2/v2.0/devicecode", d.form().Encode(), 404, "invalid_request", 404},
	} {
		t.Run(name, func(t *testing.T) {
			const correlation = "aaaaaaaa-0000-4000-8000-000000000001"
			a := d.post(t, c.path, c.body, "client-request-id", correlation)
			if a.status != c.status || a.body["error"] != c.error || a.body["error_codes"].([]any)[0] != c.number {
				t.Fatalf("%d: %s", a.status, a.text)
			}
			if !strings.HasPrefix(a.body["error_description"].(string), fmt.Sprintf("AADSTS%d: ", int(c.number))) || a.body["correlation_id"] != correlation {
				t.Errorf("body %v", a.body)
			}
			if !regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$`).MatchString(a.body["timestamp"].(string)) || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("body %v, header %v", a.body, a.header)
			}
			for _, secret := range []string{d.secret, offSecret} {
				if strings.Contains(a.text, secret) {
					t.Error("the answer repeats a secret")
				}
			}
		})
	}
	e := d.record.last()
	if e.Issued || e.TokenID != "" || e.Number == 0 {
		t.Errorf("event %+v", e)
	}
	if a := d.post(t, v2Token, `{"grant_type":"client_credentials"}`, "Content-Type", "application/json"); a.status != 400 || a.body["error"] != "invalid_request" {
		t.Errorf("JSON: %s", a.text)
	}
	if a := d.get(t, v2Token); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d", a.status)
	}
}

func TestExpiredSecretIsToldApart(t *testing.T) {
	d := newDoor(t)
	_, secret, err := d.dir.AddSecret(t.Context(), d.app.ObjectID, time.Now().Add(time.Hour))
	must(t, err)
	if a := d.post(t, v2Token, d.form("client_secret", secret).Encode()); a.status != 200 {
		t.Fatalf("in time: %d: %s", a.status, a.text)
	}
	d.ahead.Store(int64(time.Hour))
	if a := d.post(t, v2Token, d.form("client_secret", secret).Encode()); a.status != 401 || a.body["error_codes"].([]any)[0] != 7000222.0 {
		t.Errorf("too late: %d: %s", a.status, a.text)
	}
}

func TestClientSecretInBasic(t *testing.T) {
	d := newDoor(t)
	basic := func(user, password string, form url.Values) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.server.URL+v2Token, strings.NewReader(form.Encode()))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		r.SetBasicAuth(user, password)
		return d.do(t, r)
	}
	bare := d.form("client_id", "", "client_secret", "")
	if a := basic(d.app.AppID, url.QueryEscape(d.secret), bare); a.status != 200 {
		t.Errorf("good: %s", a.text)
	}
	if a := basic(d.app.AppID, d.secret, d.form("client_secret", "")); a.status != 200 {
		t.Errorf("client id in both: %s", a.text)
	}
	if a := basic(d.app.AppID, "wrong", bare); a.status != 401 || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("wrong: %d %v", a.status, a.header)
	}
	for name, a := range map[string]answer{
		"secret in both":    basic(d.app.AppID, d.secret, d.form()),
		"another client id": basic(d.app.AppID, d.secret, d.form("client_secret", "", "client_id", guid.New())),
	} {
		if a.status != 400 || a.body["error"] != "invalid_request" {
			t.Errorf("%s: %s", name, a.text)
		}
	}
	if a := basic(d.app.AppID, "%zz", bare); a.status != 401 {
		t.Errorf("not encoded: %s", a.text)
	}
}

func TestTokenIsNotIssuedOffTheRecord(t *testing.T) {
	d := newDoor(t)
	d.record.err = errStop
	a := d.post(t, v2Token, d.form().Encode())
	if a.status != 500 || a.body["access_token"] != nil || strings.Contains(a.text, "stop") {
		t.Errorf("%d: %s", a.status, a.text)
	}
}

func TestManagedIdentityEndpoint(t *testing.T) {
	d := newDoor(t)
	p, err := d.dir.CreateManagedIdentity(t.Context(), "web")
	must(t, err)
	_, header, err := d.dir.AddIdentityHeader(t.Context(), p.ObjectID, time.Time{})
	must(t, err)
	off, err := d.dir.CreateManagedIdentity(t.Context(), "off")
	must(t, err)
	_, offHeader, err := d.dir.AddIdentityHeader(t.Context(), off.ObjectID, time.Time{})
	must(t, err)
	must(t, d.dir.Disable(t.Context(), off.ObjectID))
	r := "?api-version=2019-08-01&resource=" + url.QueryEscape(resource)
	for name, c := range map[string]struct {
		path, header string
		status       int
		error        string
	}{
		"good":                  {"/msi/token" + r, header, 200, ""},
		"upper case, slash":     {"/MSI/Token/" + r, header, 200, ""},
		"encoded names":         {"/msi/token?api%2Dversion=2019-08-01&resource=" + url.QueryEscape(resource), header, 200, ""},
		"own client id":         {"/msi/token" + r + "&client_id=" + strings.ToUpper(p.AppID), header, 200, ""},
		"own object id":         {"/msi/token" + r + "&object_id=" + p.ObjectID, header, 200, ""},
		"own resource id":       {"/msi/token" + r + "&mi_res_id=" + url.QueryEscape(p.ResourceID()), header, 200, ""},
		"no header":             {"/msi/token" + r, "", 401, "invalid_client"},
		"wrong header":          {"/msi/token" + r, header + "x", 401, "invalid_client"},
		"client secret":         {"/msi/token" + r, d.secret, 401, "invalid_client"},
		"disabled":              {"/msi/token" + r, offHeader, 401, "invalid_client"},
		"another's client id":   {"/msi/token" + r + "&client_id=" + off.AppID, header, 400, "invalid_request"},
		"another's object id":   {"/msi/token" + r + "&object_id=" + off.ObjectID, header, 400, "invalid_request"},
		"another's resource id": {"/msi/token" + r + "&mi_res_id=" + url.QueryEscape(off.ResourceID()), header, 400, "invalid_request"},
		"no resource":           {"/msi/token?api-version=2019-08-01", header, 400, "invalid_request"},
		"two resources":         {"/msi/token" + r + "&resource=x", header, 400, "invalid_request"},
		"resource not ours":     {"/msi/token?resource=https://graph.microsoft.com", header, 400, "invalid_resource"},
		"malformed query":       {"/msi/token?resource=%25%zz", header, 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.get(t, c.path, "X-IDENTITY-HEADER", c.header)
			if a.status != c.status {
				t.Fatalf("%d: %s", a.status, a.text)
			}
			if c.status != 200 {
				if a.body["error"] != c.error || a.body["statusCode"] != float64(c.status) || a.body["message"] == "" || a.body["error_description"] == "" || len(a.body) != 4 {
					t.Errorf("body %s", a.text)
				}
				if e := d.record.last(); e.Issued || e.Error != c.error {
					t.Errorf("event %+v", e)
				}
				return
			}
			on, before := a.body["expires_on"].(string), a.body["not_before"].(string) // strings: Java and .NET
			if a.body["expires_in"] != "86399" || a.body["resource"] != resource || a.body["token_type"] != "Bearer" || a.body["client_id"] != p.AppID || len(a.body) != 7 {
				t.Errorf("body %s", a.text)
			}
			if len(on) != 10 || len(before) != 10 || on <= before || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("body %s, header %v", a.text, a.header)
			}
			d.verify(t, a.body["access_token"].(string), p.ObjectID)
		})
	}
}

func TestEachSourceHasItsOwnRate(t *testing.T) {
	now := time.Now()
	d := newDoor(t, func(c *login.Config) {
		c.PerSec, c.Burst = 1, 3
		c.Now = func() time.Time { return now }
	})
	ask := func(addr string) int {
		r := httptest.NewRequest(http.MethodGet, "/msi/token", nil)
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		d.login.ServeHTTP(w, r)
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "1" {
			t.Errorf("no Retry-After: %v", w.Header())
		}
		return w.Code
	}
	for n, c := range []struct {
		addr string
		want int
	}{
		{"192.0.2.1:1", 401}, {"192.0.2.1:2", 401}, {"[::ffff:192.0.2.1]:3", 401}, {"192.0.2.1:4", 429}, {"192.0.2.2:1", 401},
		{"[2001:db8::1]:1", 401}, {"[2001:db8::2]:1", 401}, {"[2001:db8::3%eth0]:1", 401}, {"[2001:db8::4]:1", 429}, {"[2001:db8:0:1::1]:1", 401},
		{"junk", 401},
	} {
		if got := ask(c.addr); got != c.want {
			t.Errorf("%d: %s got %d, want %d", n, c.addr, got, c.want)
		}
	}
	now = now.Add(time.Second)
	if a, b := ask("192.0.2.1:1"), ask("192.0.2.1:1"); a != 401 || b != 429 {
		t.Errorf("a second later: %d, %d", a, b)
	}
}

// TestTheRightSecretPassesBesideAFloodOfWrongOnes: behind one address are many clients,
// and logins are not refusals.
func TestTheRightSecretPassesBesideAFloodOfWrongOnes(t *testing.T) {
	now := time.Now()
	d := newDoor(t, func(c *login.Config) {
		c.PerSec, c.Burst = 1, 3
		c.Now = func() time.Time { return now }
	})
	ask := func(form url.Values) int {
		r := httptest.NewRequest(http.MethodPost, v2Token, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = "192.0.2.1:1"
		w := httptest.NewRecorder()
		d.login.ServeHTTP(w, r)
		return w.Code
	}
	for n := range 10 {
		if got := ask(d.form()); got != 200 {
			t.Fatalf("right secret %d: %d", n, got)
		}
	}
	wrong, unknown := d.form(), d.form()
	wrong.Set("client_secret", "wrong")
	unknown.Set("client_id", "99999999-9999-4999-8999-999999999999")
	var got []int
	for range 3 {
		got = append(got, ask(wrong), ask(unknown), ask(d.form()))
	}
	if want := []int{401, 400, 200, 401, 429, 200, 429, 429, 200}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// One address that holds many bodies keeps others from nothing.
func TestBodiesOfOneAddressHaveAShare(t *testing.T) {
	b := pipeline.NewBudget()
	d := newDoor(t, func(c *login.Config) { c.Budget = b })
	ask := func(addr string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, v2Token, strings.NewReader(d.form().Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		d.login.ServeHTTP(w, r)
		return w
	}
	var held []func()
	for {
		give, err := b.Unauthenticated("192.0.2.1:1", 64<<10)
		if err != nil {
			break
		}
		held = append(held, give)
	}
	if w := ask("192.0.2.1:2"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || len(held) < 100 {
		t.Errorf("with %d bodies: %d %v", len(held), w.Code, w.Header())
	}
	if w := ask("192.0.2.2:1"); w.Code != http.StatusOK {
		t.Errorf("another address: %d %s", w.Code, w.Body)
	}
	held[0]()
	for range 3 { // each gives back what it took
		if w := ask("192.0.2.1:2"); w.Code != http.StatusOK {
			t.Errorf("with room again: %d %s", w.Code, w.Body)
		}
	}
	for n := range 20 { // until nothing is left at all
		for {
			if _, err := b.Unauthenticated(fmt.Sprintf("198.51.100.%d:1", n), 64<<10); err != nil {
				break
			}
		}
	}
	if w := ask("192.0.2.2:1"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
		t.Errorf("with no room for anybody: %d", w.Code)
	}
}

func FuzzTokenForm(f *testing.F) {
	d := newDoor(f)
	f.Add(v2Token, d.form("client_secret", "x").Encode(), "application/x-www-form-urlencoded")
	f.Add(adfsToken, "grant_type=client_credentials&client_id=&client_assertion=a.b.c", "application/x-www-form-urlencoded")
	f.Add("/msi/token", "", "")
	f.Add("/common/userrealm/a@b", "", "")
	f.Fuzz(func(t *testing.T, path, body, kind string) {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			r := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{"Content-Type": {kind}}, Body: http.NoBody, RemoteAddr: "192.0.2.1:1"}
			if method == http.MethodPost {
				r.Body = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)).Body
			}
			w := httptest.NewRecorder()
			d.login.ServeHTTP(w, r)
			if w.Code == 500 || strings.Contains(w.Body.String(), "access_token") {
				t.Errorf("%s %q: %d %s", method, path, w.Code, w.Body)
			}
		}
	})
}
