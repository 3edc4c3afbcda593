package secret_test

import (
	"fmt"
	"sync"
	"testing"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/secret"
)

// Callers who set one name at one time all succeed, each with a version of its
// own that holds what it gave.
func TestManySetsOfOneName(t *testing.T) {
	w := newInstallation(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	given := map[object.Version]string{}
	for i := range 16 {
		wg.Go(func() {
			v := fmt.Sprint("value ", i)
			b, err := w.try("web", value(v))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			given[b.Version.Version] = v
		})
	}
	wg.Wait()
	versions, h, _, err := w.ListVersions(t.Context(), w.grant(access.SecretListVersions, "web"), object.Page{Limit: 25})
	if err != nil || len(versions) != 16 || len(given) != 16 || h.Current != versions[15].Version {
		t.Fatalf("%d versions, %d answers, current %s, %v", len(versions), len(given), h.Current, err)
	}
	for ver, v := range given {
		if got := w.read("web", ver); got != v {
			t.Errorf("%s is %q, not %q", ver, got, v)
		}
	}
	w.check()
}

// Everything at once on a few names: nothing is torn, and every refusal is one
// that the state of some moment explains.
func TestEverythingAtOnce(t *testing.T) {
	w := newInstallation(t)
	ctx := t.Context()
	acts := []func(n string) error{
		func(n string) error { _, err := w.try(n, value("v of "+n)); return err },
		func(n string) error { _, err := w.try(n, value("v of "+n)); return err },
		func(n string) error { _, err := w.change(n, "", secret.Change{Tags: object.Tags{"a": n}}); return err },
		func(n string) error { _, err := w.Delete(ctx, w.grant(access.SecretDelete, n)); return err },
		func(n string) error { _, err := w.Recover(ctx, w.grant(access.SecretRecover, n)); return err },
		func(n string) error { return w.purge(n) },
		func(n string) error {
			blob, err := w.Backup(ctx, w.grant(access.SecretBackup, n))
			if err != nil {
				return err
			}
			_, err = w.restore(w.home, blob)
			return err
		},
		func(n string) error {
			b, err := w.Get(ctx, w.grant(access.SecretGet, n), "", "")
			if err == nil && string(b.Value.Reveal()) != "v of "+n {
				return fmt.Errorf("%s reads %q", n, b.Value.Reveal())
			}
			return err
		},
	}
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 80 {
				n := fmt.Sprint("name-", (i+worker)%2)
				err := acts[(i*7+worker*5)%len(acts)](n)
				if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.check()
}
