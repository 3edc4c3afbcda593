//go:build hsm

package hsm

import (
	"coffer/internal/seal"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/pkcs11"
)

// attemptPause is the least time between two attempts to connect: each of them
// finalizes the module and may take a network's time.
const attemptPause = time.Second

// connection gives the login to the HSM, or makes one. A caller that finds
// another at it is told so at once.
func (d *Device) connection(ctx context.Context) (*connection, error) {
	d.mu.Lock()
	switch {
	case d.closed:
		d.mu.Unlock()
		return nil, closed.fault(nil)
	case d.conn != nil:
		defer d.mu.Unlock()
		return d.conn, nil
	case d.attempt != nil || !d.tried.IsZero() && d.cfg.Now().Sub(d.tried).Abs() < attemptPause:
		defer d.mu.Unlock()
		if d.attempt != nil && (d.why == nil || d.why == gone) {
			return nil, connecting.fault(d.cause)
		}
		return nil, d.why.fault(d.cause)
	}
	done := make(chan struct{})
	d.attempt = done
	d.mu.Unlock()
	go func() {
		d.connect()
		close(done)
	}()
	timer := time.NewTimer(d.wait)
	defer timer.Stop()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, connecting.fault(nil)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == nil {
		return nil, d.why.fault(d.cause)
	}
	return d.conn, nil
}

// connect makes one attempt and notes what came of it.
func (d *Device) connect() {
	d.mu.Lock()
	lost := d.lost
	d.mu.Unlock()
	conn, epoch, err := d.login(lost)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attempt = nil
	if err == nil {
		d.conn, d.why, d.cause, d.tried = conn, nil, nil, time.Time{}
		d.cfg.Logger.Info("the HSM is in use")
		return
	}
	d.tried, d.lost = d.cfg.Now(), epoch
	why := failing
	if r, ok := errors.AsType[*refusal](err); ok {
		why = r.why
	} else if c := conditionOf(err); c != nil && c != gone {
		why = c
	}
	d.down(why, err)
}

// lose gives up a connection that has failed in use.
func (d *Device) lose(conn *connection, cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == conn {
		d.conn, d.lost, d.tried = nil, conn.epoch, time.Time{}
		d.down(gone, cause)
	}
}

// down notes why there is no connection, and logs it when that is news. The caller
// holds mu.
func (d *Device) down(why *condition, cause error) {
	if d.why != why {
		d.cfg.Logger.Error("the HSM cannot be used", "reason", why.msg, "error", cause)
	}
	d.why, d.cause = why, cause
}

// refusal is an attempt that ends for a reason of its own.
type refusal struct {
	why   *condition
	cause error
}

func (r *refusal) Error() string {
	if r.cause != nil {
		return fmt.Sprintf("%s: %v", r.why.msg, r.cause)
	}
	return r.why.msg
}

// login finds the HSM and logs in. It gives the module's epoch in any case.
func (d *Device) login(lost uint64) (*connection, uint64, error) {
	epoch, err := d.mod.start(lost)
	if err != nil {
		return nil, lost, err
	}
	if !d.mod.use.TryRLock() {
		return nil, lost, errEpoch
	}
	defer d.mod.use.RUnlock()
	if d.mod.epoch != epoch {
		return nil, lost, errEpoch
	}
	slot, info, err := d.slot()
	if err != nil {
		return nil, epoch, err
	}
	if info.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0 {
		return nil, epoch, &refusal{why: locked}
	}
	h, err := d.mod.lib.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return nil, epoch, fmt.Errorf("opening a session: %w", err)
	}
	if err := d.authenticate(h, info.Flags); err != nil {
		_ = d.mod.lib.CloseSession(h)
		return nil, epoch, err
	}
	return &connection{epoch: epoch, slot: slot, keeper: h, handles: map[object]pkcs11.ObjectHandle{}}, epoch, nil
}

// slot finds the slot of the one HSM that the Config names.
func (d *Device) slot() (slot uint, info pkcs11.TokenInfo, err error) {
	slots, err := d.mod.lib.GetSlotList(true)
	if err != nil {
		return 0, info, fmt.Errorf("listing the slots: %w", err)
	}
	found := 0
	for _, s := range slots {
		// A slot that fails is none of ours, or as good as empty.
		if i, err := d.mod.lib.GetTokenInfo(s); err == nil && d.cfg.matches(i) {
			slot, info = s, i
			found++
		}
	}
	switch found {
	case 0:
		return 0, info, &refusal{why: missing}
	case 1:
		return slot, info, nil
	}
	return 0, info, &refusal{why: ambiguous}
}

func (c Config) matches(t pkcs11.TokenInfo) bool {
	return t.Label == c.Token && (c.Serial == "" || t.SerialNumber == c.Serial)
}

// authenticate logs in, with care for the HSM's count of wrong PINs.
func (d *Device) authenticate(h pkcs11.SessionHandle, flags uint) error {
	// Another device of this process may have logged in: the login is the process's.
	if state, err := d.mod.lib.GetSessionInfo(h); err != nil {
		return fmt.Errorf("asking for the session: %w", err)
	} else if state.State == pkcs11.CKS_RW_USER_FUNCTIONS {
		return nil
	}
	pin, err := d.cfg.PIN()
	if err != nil {
		return &refusal{noPIN, err}
	}
	if flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0 {
		return &refusal{why: lastTry}
	}
	now := d.cfg.Now()
	if !d.pins.mayTry(pin, now) {
		return &refusal{wrongPIN, errors.New("it is not tried again for an hour")}
	}
	err = d.mod.lib.Login(h, pkcs11.CKU_USER, string(pin.Reveal()))
	switch c := conditionOf(err); {
	case err == nil || is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
		d.pins = refusedPINs{}
		return nil
	case c == wrongPIN:
		d.pins.add(pin, now)
		return &refusal{wrongPIN, err}
	}
	return fmt.Errorf("logging in: %w", err)
}

// refusedPINs remembers the PINs that the HSM has refused. HSMs lock after
// three to ten wrong ones, so that one PIN is tried once an hour, and three
// different ones at most.
type refusedPINs struct{ list []refusedPIN }

type refusedPIN struct {
	sum [sha256.Size]byte
	at  time.Time
}

const (
	pinPause   = time.Hour
	maxRefused = 3
)

func (r *refusedPINs) mayTry(pin seal.Value, now time.Time) bool {
	sum := sha256.Sum256(pin.Reveal())
	recent := r.list[:0]
	same := false
	for _, p := range r.list {
		if now.Sub(p.at).Abs() < pinPause {
			recent = append(recent, p)
			same = same || subtle.ConstantTimeCompare(p.sum[:], sum[:]) == 1
		}
	}
	r.list = recent
	return !same && len(recent) < maxRefused
}

func (r *refusedPINs) add(pin seal.Value, now time.Time) {
	r.list = append(r.list, refusedPIN{sha256.Sum256(pin.Reveal()), now})
}
