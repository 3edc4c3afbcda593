package daemon

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"coffer/internal/audit"
)

// A setting by which clients find or trust the installation does not change unnoticed.
func TestChangedSettingsAreRefusedOrWarnedOf(t *testing.T) {
	c := newSettings(t)
	c.URL = "https://login.vault.test"
	shut(t, open(t, c, io.Discard))

	said := func() string {
		var log bytes.Buffer
		shut(t, open(t, c, &log))
		return log.String()
	}
	if log := said(); strings.Contains(log, "changed") {
		t.Errorf("an unchanged start: %s", log)
	}
	c.URL += "/" // the same
	c.Tenant = strings.ToUpper(c.Tenant)
	if log := said(); strings.Contains(log, "changed") {
		t.Errorf("the same, written otherwise: %s", log)
	}
	tenant := c.Tenant
	c.Tenant = "8c2f6b1e-0000-4000-8000-000000000001"
	if _, err := Open(t.Context(), c, nil, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrTenant) || !strings.Contains(err.Error(), strings.ToLower(tenant)) {
		t.Errorf("another tenant: %v", err)
	}
	if _, err := AcceptSettings(t.Context(), c, audit.Claims{}, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrTenant) {
		t.Errorf("another tenant, accepted: %v", err)
	}
	c.Tenant = tenant
	c.Suffix, c.URL, c.DefaultVault = "vault.other", "https://login.vault.other", "main"
	for range 2 { // until it is accepted
		log := said()
		for _, want := range []string{`suffix was \"vault.test\", and is \"vault.other\" now`, `url was \"https://login.vault.test\"`, `default_vault was \"\"`} {
			if !strings.Contains(log, want) || strings.Count(log, "coffer config accept") != 3 {
				t.Errorf("%q is not in the log: %s", want, log)
			}
		}
	}
	changed, err := AcceptSettings(t.Context(), c, audit.Claims{UPN: "ann"}, slog.New(slog.DiscardHandler))
	if err != nil || len(changed) != 3 {
		t.Errorf("%q, %v", changed, err)
	}
	if log := said(); strings.Contains(log, "changed") {
		t.Errorf("accepted: %s", log)
	}
	if changed, err := AcceptSettings(t.Context(), c, audit.Claims{}, slog.New(slog.DiscardHandler)); err != nil || len(changed) != 0 {
		t.Errorf("nothing to accept: %q, %v", changed, err)
	}
	if raw, err := os.ReadFile(AuditPath(c)); err != nil || strings.Count(string(raw), `"operationName":"VaultSettingsAccept"`) != 1 || !strings.Contains(string(raw), "vault.other") {
		t.Error("that is not on record once")
	}
}
