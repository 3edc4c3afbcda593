package login_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/login"
)

// A refusal is on record without what was tried; a token that was issued is not; and
// none is issued while nothing can be recorded.
func TestRefusedTokensAreOnRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var full atomic.Bool
	log, err := audit.Open(audit.Config{Path: path, OpenFile: func(path string) (audit.File, error) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		return disk{f, &full}, err
	}})
	must(t, err)
	d := newDoor(t, func(c *login.Config) { c.Recorder = login.Attempts{Recorder: access.NewRecorder(log)} })
	if a := d.post(t, "/adfs/oauth2/token", d.form().Encode()); a.status != 200 {
		t.Fatalf("a good request: %s", a.text)
	}
	if a := d.post(t, "/adfs/oauth2/token", d.form("client_secret", "not-the-secret").Encode()); a.status != 401 {
		t.Fatalf("a wrong secret: %s", a.text)
	}
	lines, err := os.ReadFile(path)
	must(t, err)
	for want, times := range map[string]int{
		"IdentityTokenRefused": 1, "AADSTS7000215": 1, `"invalid_client"`: 1, d.app.AppID: 1, `"127.0.0.1"`: 1, "not-the-secret": 0, d.secret: 0,
	} {
		if got := strings.Count(string(lines), want); min(got, 1) != times {
			t.Errorf("%s occurs %d times, want %d, in %s", want, got, times, lines)
		}
	}
	if n := strings.Count(string(lines), "\n"); n != 1 {
		t.Errorf("%d lines, want the refusal alone: %s", n, lines)
	}
	full.Store(true)
	for _, secret := range []string{"not-the-secret", d.secret} { // the first finds that nothing can be recorded
		a := d.post(t, "/adfs/oauth2/token", d.form("client_secret", secret).Encode())
		if secret == d.secret && a.status != 500 {
			t.Errorf("without a record: %d %s", a.status, a.text)
		}
	}
	full.Store(false)
	must(t, log.Close())
}

// disk is a file on a disk that may be full.
type disk struct {
	*os.File
	full *atomic.Bool
}

func (d disk) Write(p []byte) (int, error) {
	if d.full.Load() {
		return 0, errors.New("no space left on device")
	}
	return d.File.Write(p)
}
