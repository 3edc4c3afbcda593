//go:build hsm

package hsm

import (
	"context"
	"crypto"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"coffer/internal/fault"
	"coffer/internal/seal"
)

// A network HSM that has dropped idle sessions costs no request.
func TestDroppedSessionsAreReplaced(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	keys := newTestKeys(t, d)
	for _, failure := range []pkcs11.Error{pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_DEVICE_REMOVED} {
		for name, work := range keys.works() {
			failed := false
			f.before = func(string) error {
				if failed {
					return nil
				}
				failed = true
				return failure
			}
			if err := work(t.Context()); err != nil {
				t.Errorf("%s after %v: %v", name, failure, err)
			}
		}
	}
}

// When one device initializes the module anew, the sessions of another are dead, and
// their numbers may be those of new ones.
func TestDevicesShareAModule(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	other, err := open(k.config(), d.mod, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	keys := newTestKeys(t, other)
	failed := false
	f.before = func(call string) error {
		if call == "GetTokenInfo" && !failed {
			failed = true
			return pkcs11.Error(pkcs11.CKR_DEVICE_REMOVED)
		}
		return nil
	}
	if err := d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys.all(t)
	if other.conn.epoch != d.mod.epoch || d.mod.epoch != 2 {
		t.Errorf("sessions of %d in epoch %d", other.conn.epoch, d.mod.epoch)
	}
	if err := errors.Join(d.Ready(t.Context()), other.Close()); err != nil {
		t.Error(err)
	}
	if n := f.count("Finalize"); n != 1 {
		t.Errorf("finalized %d times", n)
	}
}

func TestFullHSMServesOn(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	id, public := generate(t, d, ecSpecs[0])
	f.before = func(call string) error {
		if call == "GenerateKeyPair" || call == "CreateObject" || call == "GenerateKey" {
			return pkcs11.Error(pkcs11.CKR_DEVICE_MEMORY)
		}
		return nil
	}
	for range 3 {
		_, err := d.Generate(t.Context(), NewID(), ecSpecs[0])
		unavailable(t, err, full)
		unavailable(t, d.ImportSecret(t.Context(), NewID(), seal.NewValue(make([]byte, 16))), full)
		if _, err := d.Signer(id, public).Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
			t.Error(err)
		}
	}
	f.before = func(string) error { return nil }
	generate(t, d, ecSpecs[0])
	generate(t, d, ecSpecs[0])
	if a, b := k.lines("is full"), k.lines("has room again"); a != 1 || b != 1 {
		t.Errorf("%d, %d lines:\n%s", a, b, k.log.String())
	}
	if n := f.count("Finalize"); n != 0 {
		t.Errorf("a full HSM was connected again %d times", n)
	}
}

// Each call of each operation fails, as if it had not been made and as if it had: the
// answer is right or says that the HSM is unavailable, and then all works again.
func TestDeviceRecoversFromAFailureAtEachCall(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	keys := newTestKeys(t, d)
	failures := []pkcs11.Error{
		pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED,
		pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_VENDOR_DEFINED + 7, pkcs11.CKR_SESSION_COUNT,
	}
	none := func(string) error { return nil }
	n := 0
	for name, work := range keys.works() {
		before := f.total()
		if err := work(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range f.total() - before {
			for after := range 2 {
				failure := failures[n%len(failures)]
				n++
				left, failed := i, ""
				hook := func(call string) error {
					if left--; left == -1 {
						failed = call
						return failure
					}
					return nil
				}
				if f.before, f.after = hook, none; after == 1 {
					f.before, f.after = none, hook
				}
				err := work(t.Context())
				f.before, f.after = none, none
				// An HSM that is well and answers so has been given bad data.
				refused := failure == pkcs11.CKR_GENERAL_ERROR && (failed == "Decrypt" || failed == "UnwrapKey")
				if err != nil && !fault.Is(err, fault.Unavailable) && !(refused && errors.Is(err, ErrRefused)) {
					t.Errorf("%s, %v at call %d, %s: %v", name, failure, i, failed, err)
				}
				k.pass(time.Second)
				if err := errors.Join(keys.sign(t.Context()), d.Ready(t.Context())); err != nil {
					t.Fatalf("%s, after %v at call %d, %s: %v", name, failure, i, failed, err)
				}
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d failures", n)
	}
	keys.all(t)
}

// A library that fails for good is an unavailable HSM, whatever it fails with, and
// whatever it fails at.
func TestDeviceThatFailsForGood(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	keys := newTestKeys(t, d)
	for _, failed := range []string{"Initialize", "Finalize", "GetSlotList", "GetTokenInfo", "OpenSession", "Login", "GetSessionInfo", "GetAttributeValue", "SignInit", "Sign"} {
		f.before = func(call string) error {
			if call == failed || call == "Sign" {
				return pkcs11.Error(pkcs11.CKR_DEVICE_ERROR)
			}
			return nil
		}
		for range 3 {
			if err := keys.sign(t.Context()); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v", failed, err)
			}
			k.pass(time.Second)
		}
		f.before = func(string) error { return nil }
		if err := keys.sign(t.Context()); err != nil {
			t.Errorf("after %s: %v", failed, err)
		}
	}
}

// A handle that another process has freed stands for another key here.
func TestReusedHandleIsNotUsed(t *testing.T) {
	d := newHSM(t).open()
	a, public := generate(t, d, ecSpecs[0])
	b, other := generate(t, d, ecSpecs[0])
	for id, p := range map[ID]crypto.PublicKey{a: public, b: other} {
		if _, err := d.Signer(id, p).Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	d.conn.handles[object{a, privateKey}] = d.conn.handles[object{b, privateKey}]
	digest := random(32)
	signature, err := d.Signer(a, public).Sign(nil, digest, crypto.SHA256)
	if err != nil || !verified(public, digest, signature, nil) {
		t.Errorf("signed by another key, %v", err)
	}
}

func TestWaitingIsBounded(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	id, public := generate(t, d, ecSpecs[0])
	signer := d.Signer(id, public)
	hold, held := make(chan struct{}), make(chan struct{}, 8)
	f.before = func(call string) error {
		if call == "Sign" {
			held <- struct{}{}
			<-hold
		}
		return nil
	}
	var wg sync.WaitGroup
	for range 4 { // as many as there are sessions
		wg.Go(func() {
			if _, err := signer.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
				t.Error(err)
			}
		})
		<-held
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	d.wait = time.Millisecond
	unavailable(t, d.Ready(t.Context()), busy)
	d.wait = maxWait
	close(hold)
	wg.Wait()
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOthersFailFastWhileOneConnects(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	hold, held := make(chan struct{}), make(chan struct{})
	f.before = func(call string) error {
		switch call {
		case "GetTokenInfo":
			return pkcs11.Error(pkcs11.CKR_DEVICE_REMOVED)
		case "Initialize":
			close(held)
			<-hold
		}
		return nil
	}
	done := make(chan error)
	go func() { done <- d.Ready(t.Context()) }()
	<-held
	unavailable(t, d.Ready(t.Context()), connecting)
	f.before = func(string) error { return nil }
	close(hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConcurrentUse(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	keys := newTestKeys(t, d)
	var calls atomic.Int64
	f.before = func(call string) error {
		if calls.Add(1)%97 == 0 && call != "CloseSession" {
			return pkcs11.Error(pkcs11.CKR_DEVICE_REMOVED)
		}
		return nil
	}
	var wg sync.WaitGroup
	var good atomic.Int64
	count := func(err error) {
		if err == nil {
			good.Add(1)
		} else if !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v", err)
		}
		k.pass(100 * time.Millisecond)
	}
	for range 8 {
		wg.Go(func() {
			for range 40 {
				count(keys.sign(t.Context()))
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for _, work := range keys.works() {
				count(work(t.Context()))
			}
		})
	}
	wg.Wait()
	if good.Load() == 0 {
		t.Error("nothing was done")
	}
	f.before = func(string) error { return nil }
	k.pass(time.Second)
	keys.all(t)
}

// SoftHSM fails to make an object when it destroys another at the same time. That is
// not seen, and leaves nothing.
func TestMakingBesideDestroying(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	keys := newTestKeys(t, d)
	var wg sync.WaitGroup
	var kept atomic.Int64
	for range 4 {
		wg.Go(func() {
			for i := range 20 {
				id := NewID()
				public, err := d.Generate(t.Context(), id, ecSpecs[0])
				if err != nil {
					t.Error(err)
					return
				}
				if i%4 == 0 {
					kept.Add(1)
					digest := random(32)
					if signature, err := d.Signer(id, public).Sign(nil, digest, nil); err != nil || !verified(public, digest, signature, nil) {
						t.Errorf("a wrong signature, or %v", err)
					}
				} else if err := d.Destroy(t.Context(), id); err != nil {
					t.Error(err)
				}
				if err := keys.sign(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := int64(strings.Count(k.objects(), "Private Key Object")); n != kept.Load()+1 {
		t.Errorf("%d private keys are in the HSM, of %d", n, kept.Load()+1)
	}
	if n := k.lines("level=ERROR"); n != 0 {
		t.Errorf("the log:\n%s", k.log.String())
	}
}

func TestClosedDeviceSaysSo(t *testing.T) {
	k := newHSM(t)
	d, other := k.open(), k.open()
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	unavailable(t, d.Ready(t.Context()), closed)
	newTestKeys(t, other).all(t) // of the same module
}

// Refused ciphertexts cost no memory: the binding loses the buffer of each.
func TestRefusalsLoseNoMemory(t *testing.T) {
	d := newHSM(t).open()
	key := imported(t, d, random(32))
	resident := func() int { // in KiB (proc(5), status)
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(status), "VmRSS:")
		n, err := strconv.Atoi(strings.Fields(after)[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	refuse := func() {
		for range 40 {
			if _, err := key.OpenGCM(t.Context(), make([]byte, 12), nil, make([]byte, 1<<20), make([]byte, 16)); err != ErrRefused {
				t.Fatal(err)
			}
		}
	}
	refuse()
	before := resident()
	refuse()
	if grown := resident() - before; grown > 20<<10 {
		t.Errorf("40 refusals of a megabyte cost %d KiB", grown)
	}
}
