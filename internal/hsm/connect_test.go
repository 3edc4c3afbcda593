//go:build hsm

package hsm

import (
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"coffer/internal/fault"
	"coffer/internal/seal"
)

func TestWrongConfigsAreErrors(t *testing.T) {
	k := newHSM(t)
	for claim, change := range map[string]func(*Config){
		"cannot be loaded":       func(c *Config) { c.Module = k.dir + "/nowhere.so" },
		"not a PKCS#11":          func(c *Config) { c.Module = "libc.so.6" },
		"path of the PKCS#11":    func(c *Config) { c.Module = "" },
		"token label of the HSM": func(c *Config) { c.Token = "" },
		"source of the PIN":      func(c *Config) { c.PIN = nil },
		"at most 1024":           func(c *Config) { c.Sessions = 1025 },
		"must be at most":        func(c *Config) { c.Sessions = -1 },
	} {
		c := k.config()
		change(&c)
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), claim) {
			t.Errorf("%s: %v", claim, err)
		}
	}
}

func TestHSMThatGoesComesBackWithoutRestart(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	id, public := generate(t, d, ecSpecs[0])
	signer := d.Signer(id, public)
	sign := func() error {
		_, err := signer.Sign(nil, make([]byte, 32), crypto.SHA256)
		return err
	}
	if err := errors.Join(sign(), d.Ready(t.Context())); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		before := k.lines("cannot be used")
		k.remove()
		for range 20 {
			if err := sign(); !fault.Is(err, fault.Unavailable) {
				t.Errorf("gone: %v", err)
			}
			if err := d.Ready(t.Context()); !fault.Is(err, fault.Unavailable) {
				t.Errorf("gone: %v", err)
			}
			if _, err := d.Generate(t.Context(), NewID(), ecSpecs[0]); !fault.Is(err, fault.Unavailable) {
				t.Errorf("gone: %v", err)
			}
			if err := d.Destroy(t.Context(), id); !fault.Is(err, fault.Unavailable) {
				t.Errorf("a key of an HSM that is gone counts as destroyed: %v", err)
			}
			k.pass(time.Second)
		}
		if n := k.lines("cannot be used") - before; n < 1 || n > 3 {
			t.Errorf("%d lines for 80 requests:\n%s", n, k.log.String())
		}
		back := k.lines("is in use")
		k.put()
		k.pass(time.Second)
		for range 3 {
			if err := errors.Join(sign(), d.Ready(t.Context())); err != nil {
				t.Errorf("back: %v", err)
			}
		}
		if n := k.lines("is in use") - back; n != 1 {
			t.Errorf("%d lines that it is back:\n%s", n, k.log.String())
		}
	}
}

func TestHSMMayComeAfterTheStart(t *testing.T) {
	k := newHSM(t)
	k.remove()
	d := k.open()
	if err := d.Ready(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	k.put()
	if err := d.Ready(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("it is tried again within the pause: %v", err)
	}
	k.pass(time.Second)
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	c := k.config()
	c.Token = "another"
	other, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	unavailable(t, other.Ready(t.Context()), missing)
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := d.Ready(t.Context()); err != nil {
		t.Errorf("after another device has closed: %v", err)
	}
}

// A library that has looked at its HSMs once is made to look again.
func TestHSMMayComeWhileTheLibraryRuns(t *testing.T) {
	k := newHSM(t)
	k.remove()
	empty := filepath.Join(k.dir, "tokens")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	d := k.open()
	unavailable(t, d.Ready(t.Context()), missing)
	if err := os.RemoveAll(empty); err != nil {
		t.Fatal(err)
	}
	k.put()
	for range 2 {
		k.pass(time.Second)
		if err := d.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestTwoHSMsOfOneLabelNeedTheSerial(t *testing.T) {
	k := newHSM(t)
	k.run("../../scripts/softhsm", k.dir, "coffer-test", pin)
	d := k.open()
	unavailable(t, d.Ready(t.Context()), ambiguous)
	var serial string
	for line := range strings.Lines(string(k.run("pkcs11-tool", "--module", softHSMPath, "--list-slots"))) {
		if _, after, ok := strings.Cut(line, "serial num"); ok && serial == "" {
			serial = strings.TrimSpace(strings.TrimLeft(after, " :"))
		}
	}
	c := k.config()
	c.Serial = serial
	one, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(one.Ready(t.Context()), one.Close()); err != nil {
		t.Errorf("serial %q: %v", serial, err)
	}
}

func TestWrongPINIsNotTriedAgain(t *testing.T) {
	k := newHSM(t)
	k.pin = "wrong"
	d, f := k.faulty()
	for range 50 {
		unavailable(t, d.Ready(t.Context()), wrongPIN)
		k.pass(time.Minute - time.Second)
	}
	if n := f.count("Login"); n != 1 {
		t.Errorf("%d logins with the wrong PIN", n)
	}
	if n := k.lines("cannot be used"); n != 1 {
		t.Errorf("%d lines:\n%s", n, k.log.String())
	}
	k.pin = pin
	if err := d.Ready(t.Context()); err != nil {
		t.Errorf("the right one: %v", err)
	}
	// While it is in use the source does not matter.
	k.pin = "wrong again"
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	k.remove()
	unavailable(t, d.Ready(t.Context()), failing)
	k.put()
	k.pass(time.Second)
	unavailable(t, d.Ready(t.Context()), wrongPIN)
	k.pin = pin
	k.pass(time.Second)
	if err := d.Ready(t.Context()); err != nil {
		t.Errorf("changed and changed back: %v", err)
	}
	if strings.Contains(k.log.String(), pin) || strings.Contains(k.log.String(), "wrong again") {
		t.Errorf("a PIN is in the log:\n%s", k.log.String())
	}
}

func TestPINsAreTriedSparingly(t *testing.T) {
	k := newHSM(t)
	k.pin = "wrong"
	d, f := k.faulty()
	for i := range 20 { // a source that gives another one each time
		k.pass(time.Second)
		k.pin = fmt.Sprint("wrong", i)
		unavailable(t, d.Ready(t.Context()), wrongPIN)
	}
	if n := f.count("Login"); n != maxRefused {
		t.Errorf("%d logins", n)
	}
	k.pin = pin
	k.pass(pinPause)
	if err := d.Ready(t.Context()); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestFlagsOfTheHSMStopLogins(t *testing.T) {
	k := newHSM(t)
	k.pin = "wrong" // so that the HSM is not in use yet
	d, f := k.faulty()
	k.pin = pin
	real := f.lib
	for flag, want := range map[uint]*condition{pkcs11.CKF_USER_PIN_LOCKED: locked, pkcs11.CKF_USER_PIN_FINAL_TRY: lastTry} {
		f.lib = flagged{real, flag}
		k.pass(time.Second)
		unavailable(t, d.Ready(t.Context()), want)
	}
	if n := f.count("Login"); n != 1 {
		t.Errorf("%d logins", n)
	}
	f.lib = real
	k.pass(time.Second)
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

type flagged struct {
	cryptoki
	flag uint
}

func (f flagged) GetTokenInfo(slot uint) (pkcs11.TokenInfo, error) {
	info, err := f.cryptoki.GetTokenInfo(slot)
	info.Flags |= f.flag
	return info, err
}

func TestPINSourceThatFails(t *testing.T) {
	k := newHSM(t)
	c := k.config()
	var broken atomic.Bool
	broken.Store(true)
	c.PIN = func() (seal.Value, error) {
		if broken.Load() {
			return seal.Value{}, errors.New("no such file")
		}
		return seal.NewValue([]byte(pin)), nil
	}
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	unavailable(t, d.Ready(t.Context()), noPIN)
	broken.Store(false)
	k.pass(time.Second)
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
