package key_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
)

// Two workers with one job: one rotates, the other loses its commit.
func TestOneOfTwoWorkersRotates(t *testing.T) {
	w := newInstallation(t)
	for i := range 10 {
		name := fmt.Sprint("key-", i)
		w.made(name, "EC")
		w.must(w.setPolicy(name, rotation("P7D")))
	}
	w.pass(7 * 24 * time.Hour)
	list := w.claim()
	if len(list) != 10 {
		t.Fatalf("%d jobs", len(list))
	}
	var wg sync.WaitGroup
	var won, lost atomic.Int64
	for _, j := range append(list, list...) {
		wg.Go(func() {
			switch err := w.do(j); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, object.ErrChanged):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 10 || lost.Load() != 10 || len(w.rotated) != 10 {
		t.Errorf("%d rotated, %d lost, %d on record", won.Load(), lost.Load(), len(w.rotated))
	}
	w.check()
}

// Everything at once on a few names: nothing is torn, every refusal is one that
// the state of some moment explains, and what was signed verifies.
func TestEverythingAtOnce(t *testing.T) {
	w := newInstallation(t)
	ctx := t.Context()
	digest := make([]byte, 32)
	acts := []func(n string) error{
		func(n string) error { _, err := w.create(n, key.CreateParams{Type: "EC"}); return err },
		func(n string) error { _, err := w.create(n, key.CreateParams{Type: "EC"}); return err },
		func(n string) error {
			_, err := w.service.Delete(ctx, w.grant(access.KeyDelete, n))
			return err
		},
		func(n string) error {
			_, err := w.service.Recover(ctx, w.grant(access.KeyRecover, n))
			return err
		},
		func(n string) error { return w.purge(n) },
		func(n string) error { _, err := w.service.Rotate(ctx, w.grant(access.KeyRotate, n)); return err },
		func(n string) error { return w.setPolicy(n, rotation("P30D")) },
		func(n string) error {
			_, err := w.update(n, "", key.Given{Tags: object.Tags{"a": "b"}, Expires: ptr(beginning.AddDate(1, 0, 0))})
			return err
		},
		func(n string) error {
			blob, err := w.service.Backup(ctx, w.grant(access.KeyBackup, n))
			if err != nil {
				return err
			}
			_, err = w.restore(w.home, blob)
			return err
		},
		func(n string) error {
			b, err := w.service.Get(ctx, w.grant(access.KeyGet, n), "")
			if err != nil {
				return err
			}
			ver := b.Version.Version
			signature, err := w.useWith(w.grant(access.KeySign, n), ver, key.Sign, "ES256", digest, nil)
			if err != nil {
				return err
			}
			valid, err := w.useWith(w.grant(access.KeyVerify, n), ver, key.Verify, "ES256", digest, signature)
			if err == nil && valid == nil {
				return errors.New("a signature does not verify")
			}
			return err
		},
	}
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 60 {
				n := fmt.Sprint("name-", (i+worker)%2)
				act := acts[(i*7+worker*5)%len(acts)]
				if err := act(n); err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.check()
}
