package keyvault_test

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/internal/fresh"
)

// TestOnASocket speaks to a real server in ways that routers of the standard
// library answer with redirects, and SDKs do not follow.
func TestOnASocket(t *testing.T) {
	w := newInstallation(t)
	server := httptest.NewTLSServer(w.handler)
	defer server.Close()
	for _, tc := range []struct {
		name, request string
		status        int
		want          string
	}{
		{"double slashes", "POST //certificates//web//create/?api-version=7.6 HTTP/1.1\r\nHost: dev.vault.test\r\nAuthorization: Bearer ann\r\nContent-Length: 2\r\n\r\n{}", 400, "Property policy"},
		{"an empty version", "GET /certificates/web/?api-version=7.6 HTTP/1.1\r\nHost: dev.vault.test\r\nAuthorization: Bearer ann\r\n\r\n", 404, "CertificateNotFound"},
		{"no body and no length", "POST /certificates/web/create?api-version=7.6 HTTP/1.1\r\nHost: dev.vault.test\r\n\r\n", 401, "AKV10000"},
		{"a body that waits for our word", "PUT /certificates/contacts?api-version=7.6 HTTP/1.1\r\nHost: dev.vault.test\r\nContent-Length: 500000\r\nExpect: 100-continue\r\n\r\n", 401, "AKV10000"},
		{"an address in the request line", "GET https://dev.vault.test/certificates?api-version=7.6 HTTP/1.1\r\nHost: other.vault.test\r\nAuthorization: Bearer ann\r\n\r\n", 200, `{"value":[],"nextLink":null}`},
		{"a large body", "POST /certificates/web/create?api-version=7.6 HTTP/1.1\r\nHost: dev.vault.test\r\nAuthorization: Bearer ann\r\nContent-Length: 1048577\r\n\r\n", 413, "RequestTooLarge"},
		{"HEAD of the health", "HEAD /healthstatus HTTP/1.1\r\nHost: anything\r\n\r\n", 200, ""},
	} {
		conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Write([]byte(tc.request)); err != nil {
			t.Fatal(err)
		}
		verb, _, _ := strings.Cut(tc.request, " ")
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: verb})
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		body := new(strings.Builder)
		if _, err := bufio.NewReader(resp.Body).WriteTo(body); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		conn.Close()
		if resp.StatusCode != tc.status || !strings.Contains(body.String(), tc.want) {
			t.Errorf("%s: %d %s", tc.name, resp.StatusCode, body)
		}
		if got := resp.Header.Get("x-ms-keyvault-network-info"); got != "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;" {
			t.Errorf("%s: network info %q", tc.name, got)
		}
	}
	if lines, _ := w.audited(t); len(lines) == 0 || !strings.Contains(fmt.Sprint(lines), "dev.vault.test") {
		t.Error("nothing is on record")
	}
}

func TestAddressesOfIPv6(t *testing.T) {
	w := newInstallation(t)
	for remote, want := range map[string]string{
		"[2001:db8::7]:99":       "conn_type=Ipv6;addr=2001:db8::7;act_addr_fam=InterNetworkV6;",
		"[::ffff:192.0.2.9]:99":  "conn_type=Ipv4;addr=192.0.2.9;act_addr_fam=InterNetwork;",
		"@":                      "conn_type=Ipv4;addr=;act_addr_fam=InterNetwork;",
		"[fe80::1%eth0\r\n]:443": "conn_type=Ipv6;addr=fe80::1;act_addr_fam=InterNetworkV6;",
	} {
		r := newRequest("GET", "/certificates?api-version=7.6", nil)
		r.RemoteAddr = remote
		if got := w.serveHTTP(r).Header().Get("x-ms-keyvault-network-info"); got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
	}
}

// TestWhatIsShownFitsTogether reads one certificate through its three faces and
// has crypto/x509 and openssl judge them.
func TestWhatIsShownFitsTogether(t *testing.T) {
	w := newInstallation(t)
	rec := w.do("POST", "/certificates/web/create?api-version=7.6",
		`{"policy":{"x509_props":{"subject":"CN=web.example.net","sans":{"dns_names":["web.example.net"]}},"issuer":{"name":"Self"}}}`)
	var operation struct{ CSR []byte }
	get(t, rec, &operation)
	req, err := x509.ParseCertificateRequest(operation.CSR)
	if err != nil || req.CheckSignature() != nil {
		t.Fatalf("the request: %v, %v", err, req.CheckSignature())
	}
	w.work(t)
	var bundle struct {
		Cer []byte
		X5t string
	}
	get(t, w.do("GET", "/certificates/web?api-version=7.6", ""), &bundle)
	cert, err := x509.ParseCertificate(bundle.Cer)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(bundle.Cer)
	if bundle.X5t != base64.RawURLEncoding.EncodeToString(sum[:]) {
		t.Errorf("x5t is %s", bundle.X5t)
	}
	var key struct{ Key struct{ N, E string } }
	get(t, w.do("GET", "/keys/web?api-version=7.6", ""), &key)
	var secret struct{ Value string }
	get(t, w.do("GET", "/secrets/web?api-version=7.6", ""), &secret)

	pfx := filepath.Join(t.TempDir(), "web.pfx")
	if err := os.WriteFile(pfx, must(base64.StdEncoding.DecodeString(secret.Value)), 0o600); err != nil {
		t.Fatal(err)
	}
	modulus := openssl(t, "sh", "-c", `openssl pkcs12 -legacy -in "$0" -passin pass: -nocerts -nodes | openssl rsa -noout -modulus`, pfx)
	if want := fmt.Sprintf("Modulus=%X\n", must(base64.RawURLEncoding.DecodeString(key.Key.N))); modulus != want || key.Key.E != "AQAB" {
		t.Errorf("the key in the PFX is %s, the JWK's %s", modulus, want)
	}
	subject := openssl(t, "sh", "-c", `openssl pkcs12 -legacy -in "$0" -passin pass: -clcerts -nokeys | openssl x509 -noout -serial`, pfx)
	if want := fmt.Sprintf("serial=%X\n", cert.SerialNumber.Bytes()); subject != want {
		t.Errorf("the certificate in the PFX has %s, cer %s", subject, want)
	}
	var version struct{ SerialNumber, Subject, ID string }
	get(t, w.do("GET", "/certificates/web?api-version=7.6", ""), &version)
	get(t, w.do("GET", strings.TrimPrefix(version.ID, "https://dev.vault.test")+"?api-version=7.6", ""), &version)
	if fmt.Sprintf("serial=%s\n", strings.TrimLeft(version.SerialNumber, "0")) != "serial="+strings.TrimLeft(strings.TrimPrefix(subject, "serial="), "0") || version.Subject != "CN=web.example.net" {
		t.Errorf("GET by version shows %+v", version)
	}
}

func get(t *testing.T, rec *httptest.ResponseRecorder, into any) {
	t.Helper()
	if rec.Code >= 300 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
		t.Fatal(err)
	}
}

func openssl(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out)
}

// BenchmarkGetCertificate is the whole way of a GET but TLS and the socket: with
// the database it reads, and without ("memory"), where nothing has been committed
// since the last read.
func BenchmarkGetCertificate(b *testing.B) {
	w := newInstallation(b)
	w.config.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil)) // that of the installation grows
	w.config.Fresh = fresh.Source{}
	w.serve(b)
	m := testMaterial()
	body := string(must(json.Marshal(map[string]string{"value": m.pem})))
	if rec := w.do("POST", "/certificates/web/import?api-version=7.6", body); rec.Code != 200 {
		b.Fatal(rec.Body)
	}
	run := func(b *testing.B) {
		r := newRequest("GET", "/certificates/web/?api-version=7.6", http.NoBody)
		rec := httptest.NewRecorder()
		b.ReportAllocs()
		before := cpuTime()
		for b.Loop() {
			rec.Body.Reset()
			clear(rec.Header())
			w.handler.ServeHTTP(rec, r)
		}
		// The time of the processor says more than that of the clock where others
		// work at the same time.
		b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
		if rec.Code != 200 {
			b.Fatal(rec.Code)
		}
	}
	b.Run("database", run)
	w.config.Fresh = fresh.Source{Commits: w.db.Commits()}
	w.serve(b)
	b.Run("memory", run)
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
