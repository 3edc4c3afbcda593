package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/internal/admin"
)

// TestRotateDataKeys replaces the data keys of a running vault that is killed meanwhile: what is
// there is sealed again, a backup of an object restores, and so does an earlier copy of the database.
func TestRotateDataKeys(t *testing.T) {
	for _, db := range databases() {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			env, args := db.at(t)
			f := newFolder(t, env, args...)
			p := f.start()
			p.must(http.StatusOK, http.MethodPut, "/secrets/app", map[string]any{"value": "x"})
			p.must(http.StatusOK, http.MethodPut, "/secrets/gone", map[string]any{"value": "restored"})
			blob := p.must(http.StatusOK, http.MethodPost, "/secrets/gone/backup", nil).text("value")
			p.must(http.StatusOK, http.MethodDelete, "/secrets/gone", nil)
			copied := filepath.Join(t.TempDir(), "before.db")
			if db.name == "SQLite" {
				f.coffer("backup", copied)
			}
			before := f.dataKeys()
			if out := f.coffer("rotate", "--data-keys"); !strings.Contains(out, "data keys replaced") {
				t.Errorf("rotate --data-keys said %s", out)
			}
			p.kill()
			p = f.start()
			for until := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
				left, replaced := int64(0), 0
				for _, k := range f.dataKeys() {
					left += k.Left
					if k.State == "replaced" {
						replaced++
					}
				}
				if left == 0 && replaced == len(before) {
					break
				}
				if time.Now().After(until) {
					t.Fatalf("%d are left, of %d keys: %+v", left, replaced, f.dataKeys())
				}
			}
			if out := f.coffer("rotate", "--status"); !strings.Contains(out, "replaced, 2 of 2 sealed again") {
				t.Errorf("rotate --status said %s", out)
			}
			p.has(http.StatusOK, "app")
			p.must(http.StatusNoContent, http.MethodDelete, "/deletedsecrets/gone", nil)
			p.must(http.StatusOK, http.MethodPost, "/secrets/restore", map[string]any{"value": blob})
			if got := p.must(http.StatusOK, http.MethodGet, "/secrets/gone", nil).text("value"); got != "restored" {
				t.Errorf("restored is %q", got)
			}
			p.stop(syscall.SIGTERM)
			if db.name == "SQLite" {
				f.coffer("restore", copied)
				p = f.start()
				p.has(http.StatusOK, "app")
				p.stop(syscall.SIGTERM)
			}
			f.checkVault()
		})
	}
}

// dataKeys is what coffer rotate --status tells.
func (f *folder) dataKeys() (list []admin.DataKeyView) {
	f.t.Helper()
	if err := json.Unmarshal([]byte(f.coffer("rotate", "--status", "--json")), &list); err != nil {
		f.t.Fatal(err)
	}
	return list
}
