package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coffer/internal/fault"
)

func TestSocketIsForItsOwnUser(t *testing.T) {
	w := newInstallation(t)
	path, d := w.serve()
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := d.call(VaultList, None{}); err != nil {
		t.Error(err)
	}
}

func TestSocketLeftByACrashIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	if _, err := Dial(path); !errors.Is(err, ErrNoServer) {
		t.Errorf("no socket: %v", err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.(*namedSocket).Listener.Close(); err != nil { // the name stays, as after a crash
		t.Fatal(err)
	}
	if _, err := Dial(path); !errors.Is(err, ErrNoServer) {
		t.Errorf("nobody listens: %v", err)
	}
	w := newInstallation(t)
	if l, err = Listen(path); err != nil {
		t.Fatal(err)
	}
	if _, err := w.on(l, path).call(VaultList, None{}); err != nil {
		t.Error(err)
	}
}

func TestPathOfTheSocketIsBounded(t *testing.T) {
	_, err := Listen(filepath.Join(t.TempDir(), strings.Repeat("x", maxSocketPath), "admin.sock"))
	if err == nil || !strings.Contains(err.Error(), "choose a data folder with a shorter one") {
		t.Errorf("got %v", err)
	}
}

// TestHostileCalls: whatever the socket is sent, it answers an error in a sentence
// and goes on.
func TestHostileCalls(t *testing.T) {
	w := newInstallation(t)
	path, d := w.serve()
	hc := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var nd net.Dialer
		return nd.DialContext(ctx, "unix", path)
	}}}
	for _, c := range []struct {
		method, call, body string
		kind               fault.Kind
		want               string
	}{
		{"POST", "nonsense", "{}", fault.NotFound, `There is no call "nonsense".`},
		{"GET", "", "", fault.NotFound, `There is no call "".`},
		{"POST", "vault.list/../vault.create", "{}", fault.NotFound, "There is no call"},
		{"GET", VaultList, "", fault.Invalid, "The input of the call cannot be read."},
		{"POST", VaultCreate, "", fault.Invalid, "The input of the call cannot be read."},
		{"POST", VaultCreate, "[]", fault.Invalid, "The input of the call cannot be read."},
		{"POST", VaultCreate, `{"name":7}`, fault.Invalid, "The input of the call cannot be read."},
		{"POST", VaultCreate, strings.Repeat("[", 100_000), fault.Invalid, "The input of the call cannot be read."},
		{"POST", VaultCreate, `{"name":"` + strings.Repeat("x", maxCall) + `"}`, 0, "request body too large"},
		{"POST", VaultCreate, `{"name":"\u0000/../x"}`, fault.Invalid, "a vault name has"},
		{"POST", IdentityShow, `{"id":"` + strings.Repeat("x", 1000) + `"}`, fault.NotFound, "There is no identity"},
	} {
		req, err := http.NewRequest(c.method, "http://coffer/"+c.call, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", c.method, c.call, err)
		}
		var a answer
		err = json.NewDecoder(resp.Body).Decode(&a)
		resp.Body.Close()
		if err != nil || a.Kind != c.kind || !strings.Contains(a.Error, c.want) || a.Result != nil {
			t.Errorf("%s %s %.60s: %+v, %v, want %q", c.method, c.call, c.body, a, err, c.want)
		}
	}
	if out, err := d.call(VaultList, None{}); err != nil || string(out) != "[]" {
		t.Errorf("afterwards: %s, %v", out, err)
	}
	if bytes.Contains(w.log.Bytes(), []byte("panic")) {
		t.Errorf("%s", &w.log)
	}
}

// TestRequestWithoutAPath: a request line without a path is a call without a name.
func TestRequestWithoutAPath(t *testing.T) {
	w := newInstallation(t)
	path, _ := w.serve()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("OPTIONS * HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(c); err != nil || !strings.HasPrefix(b.String(), "HTTP/1.") {
		t.Errorf("%q, %v", &b, err)
	}
}
