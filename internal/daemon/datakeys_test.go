package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/admin"
	"coffer/internal/config"
	"coffer/internal/fault"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// quick are limits that a test can wait for.
var quick = seal.Limits{Most: 1 << 31, Soon: 1 << 30, Block: 16, Grace: 100 * time.Millisecond, Reading: 30 * time.Millisecond}

const (
	killedEnv  = "COFFER_TEST_DATA_KEYS"
	killedName = "one"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedEnv); dir != "" {
		fmt.Fprintln(os.Stderr, writeAndRotate(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// settingsIn are those of newSettings, of a folder that is there.
func settingsIn(dir string) (*config.Config, error) {
	c := &config.Config{Listen: "127.0.0.1:0", Suffix: "vault.test", Tenant: "8c2f6b1e-0000-4000-8000-000000000000"}
	if os.Getenv("COFFER_STORE_URL") != "" {
		c.Store.Driver = store.Postgres
	}
	return c, c.At(filepath.Join(dir, config.FileName))
}

// put stores a secret whose value tells its name, sealed again if its data key was closed
// meanwhile.
func put(ctx context.Context, d *Daemon, v object.VaultID, n object.Name) error {
	for {
		ver := &secret.Version{Vault: v, Name: n, Version: object.NewVersion(), Attributes: object.Attributes{Enabled: true}}
		var err error
		ver.Value, err = d.sealer.Seal(ctx, secret.ValuePlace(v, n, ver.Version), seal.NewValue([]byte(n.Key())))
		if err != nil {
			return err
		}
		time.Sleep(rand.N(5 * time.Millisecond)) // as a slow client's
		err = d.db.Update(ctx, func(tx *store.Tx) error {
			return errors.Join(tx.InsertSecret(ctx, object.Head{Vault: v, Name: n, Current: ver.Version}), tx.InsertSecretVersion(ctx, ver))
		})
		if !errors.Is(err, seal.ErrClosed) {
			return err
		}
	}
}

// writeAndRotate is the process that is killed: it stores secrets and prints each name when
// it is durable, while data keys are replaced again and again.
func writeAndRotate(dir string) error {
	c, err := settingsIn(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	d, err := Open(ctx, c, nil, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	d.sealer.Limits = quick
	id, err := d.vaultByName(ctx, killedName)
	if err == nil {
		err = d.ensureJobs(ctx)
	}
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range 3 {
		go func() {
			for i := 0; ; i++ {
				n := object.MustName(fmt.Sprintf("p%d-%d-%d", os.Getpid(), w, i))
				if err := put(ctx, d, id, n); err != nil {
					failed <- err
					return
				}
				fmt.Println(n)
			}
		}()
	}
	go func() { failed <- d.runner.Run(ctx) }()
	go func() {
		for {
			keys, err := d.currentDataKeys(ctx, killedName)
			for _, k := range keys {
				if _, e := d.sealer.Replace(ctx, k); !errors.Is(e, object.ErrChanged) {
					err = errors.Join(err, e)
				}
			}
			if err := errors.Join(err, d.dataKeysDue(ctx)); err != nil {
				failed <- err
				return
			}
			time.Sleep(300 * time.Millisecond)
		}
	}()
	return <-failed
}

// Processes are killed while they write and replace data keys: whatever they were told is
// durable opens afterwards, with the last key, which is the only one left.
func TestKilledRotationsLoseNothing(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		c := newSettings(t)
		killedRotations(t, c, c.DataDir())
	})
	t.Run("Postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("-short leaves PostgreSQL out")
		}
		t.Setenv("COFFER_STORE_URL", string(storetest.Postgres(t).URL.Reveal()))
		c, err := settingsIn(filepath.Join(t.TempDir(), "data"))
		if err == nil {
			err = Create(t.Context(), c, time.Now(), slog.New(slog.DiscardHandler))
		}
		if err != nil {
			t.Fatal(err)
		}
		// Two replicas: the other has the root key, and an audit log of its own.
		other := filepath.Join(t.TempDir(), "data")
		root, err := os.ReadFile(RootKeyPath(c))
		if err := errors.Join(err, os.Mkdir(other, 0o700), os.WriteFile(filepath.Join(other, "root.key"), root, 0o600)); err != nil {
			t.Fatal(err)
		}
		killedRotations(t, c, c.DataDir(), other)
	})
}

func killedRotations(t *testing.T, c *config.Config, dirs ...string) {
	d := open(t, c, io.Discard)
	v := storetest.NewVault(t, d.db, vault.Vault{Name: killedName, Subscription: "s", ResourceGroup: "g", TenantID: c.Tenant, Location: "l"}, time.Now())
	shut(t, d)
	told := map[string]bool{}
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for _, dir := range dirs {
			wg.Go(func() {
				for _, n := range runAndKill(t, dir, 800*time.Millisecond+rand.N(2*time.Second)) {
					mu.Lock()
					told[n] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	if len(told) < 20*rounds {
		t.Errorf("only %d secrets were stored", len(told))
	}
	destroyed := 0
	for _, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		destroyed += strings.Count(string(raw), `"operationName":"VaultDataKeyDestroy"`)
	}
	if destroyed == 0 {
		t.Error("no data key was destroyed in the time: the test shows nothing")
	}

	d = open(t, c, io.Discard)
	defer shut(t, d)
	d.sealer.Limits = quick
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if err := d.careForDataKeys(t.Context(), jobs.Job{}); !isLater(err) {
			t.Fatal(err)
		}
		keys, err := d.sealer.DataKeys(t.Context())
		if err != nil || time.Now().After(until) {
			t.Fatalf("%v, %+v", err, keys)
		}
		if len(keys) == 2 { // the vault's, and that of rows
			t.Logf("%d secrets, %d keys destroyed", len(told), destroyed)
			break
		}
	}
	fresh := seal.NewSealer(d.root, store.For[seal.Tx]{DB: d.db}, time.Now)
	err := d.db.View(t.Context(), func(tx *store.Tx) error {
		for name := range told {
			n := object.MustName(name)
			list, err := tx.SecretVersions(t.Context(), v.ID, n, object.Page{})
			if err != nil || len(list) != 1 {
				t.Fatalf("%s was told and is not there: %v", name, err)
			}
			value, err := fresh.Open(t.Context(), secret.ValuePlace(v.ID, n, list[0].Version), list[0].Value)
			if err != nil || string(value.Reveal()) != n.Key() {
				t.Fatalf("%s: %v", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, err := range storetest.CheckVault(t.Context(), d.db, func(p seal.Place, b seal.Box) error {
		_, err := fresh.Open(t.Context(), p, b)
		return err
	}) {
		t.Error(err)
	}
}

// isLater tells whether a job ended well and asks to be run again.
func isLater(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "later, at ") }

// runAndKill runs the process for a time and answers what it told.
func runAndKill(t *testing.T, dir string, after time.Duration) (told []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), killedEnv+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Error(err)
		return nil
	}
	lines := bufio.NewScanner(out)
	var once sync.Once
	for lines.Scan() {
		told = append(told, lines.Text())
		once.Do(func() { time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) })
	}
	_ = cmd.Wait() // killed
	if len(told) == 0 || strings.Contains(stderr.String(), "level=ERROR") {
		t.Errorf("%d told: %s", len(told), stderr.String())
	}
	return told
}

// A key that has sealed much is replaced by itself and destroyed at the end, on record both.
func TestDataKeysAreReplacedInTime(t *testing.T) {
	c := newSettings(t)
	d := open(t, c, io.Discard)
	v := storetest.NewVault(t, d.db, vault.Vault{Name: killedName, Subscription: "s", ResourceGroup: "g", TenantID: c.Tenant, Location: "l"}, time.Now())
	d.sealer.Limits = quick
	d.sealer.Limits.Block, d.sealer.Limits.Soon, d.sealer.Limits.Most = 2, 6, 100
	care := func() {
		t.Helper()
		if err := d.careForDataKeys(t.Context(), jobs.Job{ID: "data-keys"}); !isLater(err) {
			t.Fatal(err)
		}
	}
	var first seal.DataKey
	for i := range 5 {
		if err := put(t.Context(), d, v.ID, object.MustName(fmt.Sprintf("s%d", i))); err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			care() // not yet
			keys, err := d.sealer.DataKeys(t.Context())
			keys = slices.DeleteFunc(keys, func(k seal.DataKey) bool { return k.Scope == seal.Rows })
			if err != nil || len(keys) != 1 {
				t.Fatalf("%v, %+v", err, keys)
			}
			first = keys[0]
		}
	}
	read := func() { // what was read is kept in memory while the row is as it was
		t.Helper()
		b, err := d.secrets.Get(t.Context(), accesstest.New(t).Give(v, access.SecretGet, object.MustName("s0")), "", "")
		if err != nil || string(b.Value.Reveal()) != "s0" {
			t.Fatal(err)
		}
	}
	read()
	care()
	list, err := d.dataKeys(t.Context(), accesstest.New(t).Everywhere(access.DataKeyRead))
	if err != nil || len(list) != 3 || list[0].Scope != killedName || list[0].State != "replaced" || list[0].ID != first.ID || list[0].Left != 5 || list[0].Total != 5 || list[1].State != "current" {
		t.Fatalf("%v, %+v", err, list)
	}
	for until := time.Now().Add(10 * time.Second); len(list) > 2; time.Sleep(20 * time.Millisecond) {
		care()
		if list, err = d.dataKeys(t.Context(), accesstest.New(t).Everywhere(access.DataKeyRead)); err != nil || time.Now().After(until) {
			t.Fatalf("%v, %+v", err, list)
		}
	}
	read()
	shut(t, d)
	raw, err := os.ReadFile(AuditPath(c))
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"VaultDataKeyReplace", "VaultDataKeyDestroy"} {
		found := 0
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, `"operationName":"`+operation+`"`) && strings.Contains(line, `"resultType":"Success"`) &&
				strings.Contains(line, `"scope":"`+string(v.ID)+`","id":"`+first.ID+`"`) && json.Valid([]byte(line)) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d records of %s:\n%s", found, operation, raw)
		}
	}
}

// An operator replaces all data keys, or one vault's.
func TestOperatorsReplaceDataKeys(t *testing.T) {
	c := newSettings(t)
	d := open(t, c, io.Discard)
	defer shut(t, d)
	for _, name := range []string{killedName, "two"} {
		v := storetest.NewVault(t, d.db, vault.Vault{Name: name, Subscription: "s", ResourceGroup: "g", TenantID: c.Tenant, Location: "l"}, time.Now())
		if err := put(t.Context(), d, v.ID, object.MustName("s")); err != nil {
			t.Fatal(err)
		}
	}
	rotate := func(in admin.DataKeyRotation) (admin.DataKeysRotated, error) {
		return d.rotateDataKeys(t.Context(), accesstest.New(t).Everywhere(access.DataKeyRotate), in)
	}
	for _, step := range []struct {
		in   admin.DataKeyRotation
		want admin.DataKeysRotated
		kind fault.Kind
	}{
		{admin.DataKeyRotation{Vault: "ONE"}, admin.DataKeysRotated{DataKeys: 1, Boxes: 1}, 0},
		{admin.DataKeyRotation{}, admin.DataKeysRotated{DataKeys: 3, Boxes: 7}, 0}, // the other box is of the one before; six rows have a tag
		{admin.DataKeyRotation{Vault: "none"}, admin.DataKeysRotated{}, fault.NotFound},
		{admin.DataKeyRotation{Vault: "two", ForgetOld: true}, admin.DataKeysRotated{}, fault.Invalid},
	} {
		out, err := rotate(step.in)
		if out != step.want || (err != nil) != (step.kind != 0) || err != nil && !fault.Is(err, step.kind) {
			t.Errorf("%+v: %+v, %v", step.in, out, err)
		}
	}
	list, err := d.dataKeys(t.Context(), accesstest.New(t).Everywhere(access.DataKeyRead))
	if err != nil || len(list) != 7 {
		t.Errorf("%v, %+v", err, list)
	}
}
