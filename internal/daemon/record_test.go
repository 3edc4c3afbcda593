package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// The end of an operation is on record with how the certificate differs from its order,
// or with the reason for its failure.
func TestEnrollmentIsOnRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(audit.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{background: access.NewBackground(access.BackgroundConfig{
		Gate: access.NewGate(access.GateConfig{}), Recorder: access.NewRecorder(log), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Vault: func(context.Context, object.VaultID) (*vault.Vault, error) { return &vault.Vault{Name: "main"}, nil },
		URL:   func(*vault.Vault) string { return "https://main.vault.test" },
	})}
	op := &issuance.Operation{Name: object.MustName("web"), RequestID: "r1", Status: issuance.InProgress}
	for _, c := range []struct {
		ended       issuance.Operation
		differences *audit.DifferenceProperties
		want        []string
	}{
		{issuance.Operation{Status: issuance.Completed, RequestID: "r1"}, &audit.DifferenceProperties{Wider: []string{"w"}, Narrower: []string{"n"}},
			[]string{`"status":"completed"`, `"certificateDifferences":{"wider":["w"],"narrower":["n"]}`}},
		{issuance.Operation{Status: issuance.Failed, Error: &issuance.OperationError{Code: issuance.IssuerError, Message: "it is a CA"}}, nil,
			[]string{`"resultDescription":"it is a CA"`, `"status":"failed"`}},
	} {
		done, err := d.recordEnrollment(op, "job")
		if err != nil {
			t.Fatal(err)
		}
		done(&c.ended, c.differences, nil)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		for _, part := range c.want {
			if last := lines[len(lines)-1]; !strings.Contains(last, part) {
				t.Errorf("%q is not in %s", part, last)
			}
		}
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}
