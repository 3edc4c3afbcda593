package daemon

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/admin"
	"coffer/internal/audit"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// The key that authenticates rows is replaced like the others: every row gets a tag of the
// successor, and the old key is destroyed.
func TestRowKeyIsReplaced(t *testing.T) {
	c := newSettings(t)
	d := open(t, c, io.Discard)
	v := storetest.NewVault(t, d.db, vault.Vault{Name: killedName, Subscription: "s", ResourceGroup: "g", TenantID: c.Tenant, Location: "l"}, time.Now())
	d.sealer.Limits = quick
	for _, name := range []string{"a", "b"} {
		if err := put(t.Context(), d, v.ID, object.MustName(name)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 120 { // more than one batch
		if err := put(t.Context(), d, v.ID, object.MustName(fmt.Sprint("more-", i))); err != nil {
			t.Fatal(err)
		}
	}
	rowKeys := func() (list []seal.DataKey) {
		t.Helper()
		keys, err := d.sealer.DataKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(keys, func(k seal.DataKey) bool { return k.Scope != seal.Rows })
	}
	first := rowKeys()
	if len(first) != 1 {
		t.Fatalf("%+v", first)
	}
	if _, err := d.rotateDataKeys(t.Context(), accesstest.New(t).Everywhere(access.DataKeyRotate), admin.DataKeyRotation{}); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), d, v.ID, object.MustName("c")); err != nil { // meanwhile
		t.Fatal(err)
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := d.careForDataKeys(t.Context(), jobs.Job{}); !isLater(err) {
			t.Fatal(err)
		}
		keys := rowKeys()
		if len(keys) == 1 && keys[0].ID != first[0].ID {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%+v", keys)
		}
	}
	check := func() {
		t.Helper()
		if forged, err := d.db.VerifyRows(t.Context()); err != nil || len(forged) > 0 {
			t.Errorf("%v, %v", forged, err)
		}
		for _, name := range []string{"a", "b", "c"} {
			b, err := d.secrets.Get(t.Context(), accesstest.New(t).Give(v, access.SecretGet, object.MustName(name)), "", "")
			if err != nil || string(b.Value.Reveal()) != name {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	check()
	shut(t, d)
	d = open(t, c, io.Discard)
	defer shut(t, d)
	check()
}

// A database whose rows nobody has authenticated is one of an older version, or one of which
// somebody has taken the key and the tags away: it is trusted only by who has looked at it.
func TestUpgradeAsksFirst(t *testing.T) {
	c := newSettings(t)
	d := open(t, c, io.Discard)
	v := storetest.NewVault(t, d.db, vault.Vault{Name: killedName, Subscription: "s", ResourceGroup: "g", TenantID: c.Tenant, Location: "l"}, time.Now())
	if err := put(t.Context(), d, v.ID, object.MustName("a")); err != nil {
		t.Fatal(err)
	}
	shut(t, d)
	raw, err := sql.Open("sqlite", DatabasePath(c))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"vaults", "secrets", "secret_versions"} {
		if _, err := raw.Exec("UPDATE " + table + " SET tag = NULL"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := raw.Exec("DELETE FROM data_keys WHERE scope = 'rows'"); err != nil {
		t.Fatal(err)
	}
	raw.Close()

	quiet := slog.New(slog.DiscardHandler)
	for range 2 { // the first try changes nothing for the second
		if _, err := Open(t.Context(), c, nil, quiet); !errors.Is(err, seal.ErrNoRowKey) || !strings.Contains(err.Error(), "coffer upgrade") {
			t.Fatalf("a start: %v", err)
		}
	}
	by := audit.Claims{UPN: "ann", UID: "7"}
	refused := errors.New("no")
	var shown []string
	n, err := Upgrade(t.Context(), c, by, quiet, func(lines []string, counts map[string]int64) error {
		shown = lines
		if counts["vaults"] != 1 || counts["secret_versions"] != 1 {
			t.Errorf("%v", counts)
		}
		return refused
	}, func(int) {})
	if n != 0 || !errors.Is(err, refused) || len(shown) != 1 || !strings.Contains(shown[0], killedName) {
		t.Errorf("refused: %d, %v, %v", n, err, shown)
	}
	if _, err := Open(t.Context(), c, nil, quiet); !errors.Is(err, seal.ErrNoRowKey) {
		t.Fatalf("a start after a refusal: %v", err)
	}
	if n, err = Upgrade(t.Context(), c, by, quiet, func([]string, map[string]int64) error { return nil }, func(int) {}); n != 3 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err = Upgrade(t.Context(), c, by, quiet, func([]string, map[string]int64) error { t.Error("asked again"); return nil }, func(int) {}); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	d = open(t, c, io.Discard)
	defer shut(t, d)
	if _, err := d.secrets.Get(t.Context(), accesstest.New(t).Give(v, access.SecretGet, object.MustName("a")), "", ""); err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(AuditPath(c))
	if err != nil || strings.Count(string(log), `"operationName":"VaultUpgrade"`) != 1 {
		t.Errorf("on record: %v\n%s", err, log)
	}
}
