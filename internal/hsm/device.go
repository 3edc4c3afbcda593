//go:build hsm

package hsm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/miekg/pkcs11"
)

// Built says whether this binary speaks PKCS#11.
const Built = true

const (
	defaultSessions = 16
	maxSessions     = 1024
	// maxWait bounds the wait for a session, for a connection, and at Close.
	maxWait = 10 * time.Second
	// maxHandles bounds the handles that a connection remembers.
	maxHandles = 4096
)

// Device is an HSM in use. It is safe for concurrent use. An HSM that is lost is
// connected again by the next use: by one goroutine, while other uses fail fast.
type Device struct {
	cfg     Config
	mod     *module
	release func() error
	slots   chan struct{} // one for each operation that runs
	wait    time.Duration // maxWait

	mu      sync.Mutex
	conn    *connection   // guarded by mu; nil while there is none
	attempt chan struct{} // guarded by mu; closed at the end of the running attempt to connect; nil: none runs
	tried   time.Time     // guarded by mu; when the last attempt failed; zero: none since the HSM was lost
	why     *condition    // guarded by mu; why there is no connection
	cause   error         // guarded by mu; of why
	lost    uint64        // guarded by mu; the module's epoch in which the HSM was lost
	full    bool          // guarded by mu; the HSM had no room for the last new object
	closed  bool          // guarded by mu
	pins    refusedPINs   // used by the running attempt only
}

// connection is a login to the HSM. All of it dies with the module's epoch.
type connection struct {
	epoch   uint64
	slot    uint
	keeper  pkcs11.SessionHandle           // keeps the login
	idle    []pkcs11.SessionHandle         // guarded by Device.mu
	handles map[object]pkcs11.ObjectHandle // guarded by Device.mu
}

// session is one session with the HSM, during one operation.
type session struct {
	lib  cryptoki
	h    pkcs11.SessionHandle
	d    *Device
	conn *connection
}

// Open begins to use an HSM. A wrong Config and a module that cannot be loaded
// are errors; an HSM that cannot be used now is logged, and tried again at each
// use.
func Open(cfg Config) (*Device, error) {
	if cfg.Module == "" {
		return nil, errors.New("hsm: the path of the PKCS#11 module is missing")
	}
	mod, release, err := acquire(cfg.Module)
	if err != nil {
		return nil, err
	}
	d, err := open(cfg, mod, release)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return d, nil
}

func open(cfg Config, mod *module, release func() error) (*Device, error) {
	switch {
	case cfg.Token == "":
		return nil, errors.New("hsm: the token label of the HSM is missing")
	case cfg.PIN == nil:
		return nil, errors.New("hsm: the source of the PIN is missing")
	case cfg.Sessions < 0 || cfg.Sessions > maxSessions:
		return nil, fmt.Errorf("hsm: sessions must be at most %d", maxSessions)
	case cfg.Sessions == 0:
		cfg.Sessions = defaultSessions
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Logger = cfg.Logger.With("module", cfg.Module, "token", cfg.Token)
	d := &Device{cfg: cfg, mod: mod, release: release, slots: make(chan struct{}, cfg.Sessions), wait: maxWait}
	_, _ = d.connection(context.Background()) // has logged
	return d, nil
}

// Close ends the use of the HSM, after the operations that run. If one of them
// does not return, the module is left as it is.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	attempt := d.attempt
	d.mu.Unlock()
	if attempt == nil {
		attempt = make(chan struct{})
		close(attempt)
	}
	timer := time.NewTimer(d.wait)
	defer timer.Stop()
	stuck := errors.New("hsm: the module still works on a call")
	for range cap(d.slots) {
		select {
		case d.slots <- struct{}{}:
		case <-timer.C:
			return stuck
		}
	}
	select {
	case <-attempt:
	case <-timer.C:
		return stuck
	}
	return errors.Join(d.leave(), d.release())
}

// leave closes the sessions: other devices may use the same HSM.
func (d *Device) leave() error {
	d.mod.use.RLock()
	defer d.mod.use.RUnlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.conn
	if c == nil || !d.mod.initialized || d.mod.epoch != c.epoch {
		return nil
	}
	var err error
	for _, h := range append(c.idle, c.keeper) {
		err = errors.Join(err, d.mod.lib.CloseSession(h))
	}
	return err
}

// Ready reports whether the HSM can be used now, by asking it.
func (d *Device) Ready(ctx context.Context) error {
	return d.repeat(ctx, func(s *session) error { return s.probe() })
}

// do runs one operation in a session of its own. What a failure tells of the HSM
// is noted, and told to the caller as fault.Unavailable.
func (d *Device) do(ctx context.Context, op func(*session) error) error {
	err, _ := d.once(ctx, op)
	return err
}

// repeat is do for what may be done twice: when the connection turns out to be
// dead, it is done again on another.
func (d *Device) repeat(ctx context.Context, op func(*session) error) error {
	err, lost := d.once(ctx, op)
	if lost {
		err, _ = d.once(ctx, op)
	}
	return err
}

func (d *Device) once(ctx context.Context, op func(*session) error) (err error, lost bool) {
	if err := d.enter(ctx); err != nil {
		return err, false
	}
	defer func() { <-d.slots }()
	conn, err := d.connection(ctx)
	if err != nil {
		return err, false
	}
	err = d.run(conn, op)
	c := conditionOf(err)
	switch c {
	case nil:
		return err, false
	case gone:
		d.lose(conn, err)
	case full:
		d.room(false)
	}
	return c.fault(err), c == gone
}

// enter waits for a place among the operations that run.
func (d *Device) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	ended := d.closed
	d.mu.Unlock()
	if ended {
		return closed.fault(nil)
	}
	select {
	case d.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(d.wait)
	defer timer.Stop()
	select {
	case d.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return busy.fault(nil)
	}
}

// errEpoch: another device has initialized the module anew, or is about to.
var errEpoch = fmt.Errorf("the connection is of another time: %w", pkcs11.Error(pkcs11.CKR_SESSION_HANDLE_INVALID))

func (d *Device) run(conn *connection, op func(*session) error) error {
	if !d.mod.use.TryRLock() {
		return errEpoch
	}
	defer d.mod.use.RUnlock()
	if !d.mod.initialized || d.mod.epoch != conn.epoch {
		return errEpoch
	}
	s, err := d.session(conn)
	if err != nil {
		return err
	}
	if err := op(s); err != nil {
		// An operation may be left half way in it.
		_ = d.mod.lib.CloseSession(s.h)
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	conn.idle = append(conn.idle, s.h)
	return nil
}

func (d *Device) session(conn *connection) (*session, error) {
	s := &session{lib: d.mod.lib, d: d, conn: conn}
	d.mu.Lock()
	if n := len(conn.idle); n > 0 {
		s.h = conn.idle[n-1]
		conn.idle = conn.idle[:n-1]
		d.mu.Unlock()
		return s, nil
	}
	d.mu.Unlock()
	var err error
	if s.h, err = s.lib.OpenSession(conn.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION); err != nil {
		return nil, fmt.Errorf("opening a session: %w", err)
	}
	return s, nil
}

// probe asks the HSM whether it is there and knows this session: some libraries
// go on without it, and find no objects then.
func (s *session) probe() error {
	info, err := s.lib.GetTokenInfo(s.conn.slot)
	if err != nil {
		return fmt.Errorf("asking for the HSM: %w", err)
	}
	if !s.d.cfg.matches(info) {
		return fmt.Errorf("asking for the HSM: another one is there: %w", pkcs11.Error(pkcs11.CKR_TOKEN_NOT_PRESENT))
	}
	state, err := s.lib.GetSessionInfo(s.h)
	if err != nil {
		return fmt.Errorf("asking for the session: %w", err)
	}
	if state.State != pkcs11.CKS_RW_USER_FUNCTIONS {
		return fmt.Errorf("asking for the session: %w", pkcs11.Error(pkcs11.CKR_USER_NOT_LOGGED_IN))
	}
	return nil
}

// room notes whether the HSM has room for new objects.
func (d *Device) room(there bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full != there {
		return
	}
	d.full = !there
	if there {
		d.cfg.Logger.Info("the HSM has room again")
	} else {
		d.cfg.Logger.Error("the HSM is full")
	}
}
