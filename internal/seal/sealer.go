package seal

import (
	"context"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// Keeper holds the root key and never gives it away. It may be a machine elsewhere
// that takes seconds: it is not asked within a transaction, which others wait for.
type Keeper interface {
	// Wrap seals a data key under the current root key and names that root key.
	Wrap(ctx context.Context, scope, keyID string, dataKey Value) (rootID string, wrapped []byte, err error)
	// Unwrap opens what Wrap made. ErrRootKey: the root key is not kept here.
	Unwrap(ctx context.Context, k DataKey) (Value, error)
}

// ErrRootKey reports a data key that was wrapped by a root key that this keeper
// does not have.
var ErrRootKey = errors.New("seal: wrapped by a root key that is not at hand")

// Sealer seals and opens boxes. It is safe for concurrent use. Unwrapped data
// keys stay in memory: one of 32 bytes for each vault in use, and those replaced and not
// destroyed yet.
type Sealer struct {
	// Limits are DefaultLimits unless they are set before the first use.
	Limits Limits

	keeper Keeper
	db     object.DB[Tx]
	now    func() time.Time

	mu      sync.RWMutex
	keys    map[string]map[[keyIDBytes]byte]cipher.AEAD // guarded by mu; by scope
	current map[string]*current                         // guarded by mu; by scope
	rowKeys *RowKeys                                    // guarded by mu; nil: they were not loaded
}

// current is the key that seals for a scope, as far as this process knows.
type current struct {
	turn chan struct{} // holds one while the database is asked about it

	mu    sync.Mutex
	id    [keyIDBytes]byte // guarded by mu, as below
	left  int64            // boxes that it may still seal of what is reserved
	asked time.Time        // when the database said that it is current
}

// take counts a box, if the key may seal one without asking the database.
func (c *current) take(now time.Time, reading time.Duration) (id [keyIDBytes]byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left <= 0 || now.Sub(c.asked) >= reading {
		return id, false
	}
	c.left--
	return c.id, true
}

// set says which key is current, as the database told at a time, with what more was
// reserved of it.
func (c *current) set(id [keyIDBytes]byte, more int64, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id != id {
		c.id, c.left = id, 0
	}
	c.left += more
	c.asked = asked
}

// reserved tells whether there is something left of the key.
func (c *current) reserved(id [keyIDBytes]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id == id && c.left > 0
}

// NewSealer makes a Sealer; it reads nothing yet.
func NewSealer(keeper Keeper, db object.DB[Tx], now func() time.Time) *Sealer {
	return &Sealer{Limits: DefaultLimits, keeper: keeper, db: db, now: now,
		keys: map[string]map[[keyIDBytes]byte]cipher.AEAD{}, current: map[string]*current{}}
}

// Seal puts plaintext into a box bound to p, making the scope's data key on its
// first use. It may ask the database, so that it is not called within a transaction.
func (s *Sealer) Seal(ctx context.Context, p Place, plaintext Value) (Box, error) {
	id, aead, err := s.sealing(ctx, scopeOf(p))
	if err != nil {
		return nil, fmt.Errorf("sealing %s %s: %w", p.Kind, p.Column, err)
	}
	return sealBox(aead, id, p, plaintext.Reveal()), nil
}

// Open gives the content of a box that was sealed for p, or ErrBox.
func (s *Sealer) Open(ctx context.Context, p Place, b Box) (Value, error) {
	id, err := b.keyID()
	if err != nil {
		return Value{}, err
	}
	aead, err := s.opening(ctx, scopeOf(p), id)
	if errors.Is(err, ErrBox) && p.Kind == backupKind {
		aead, err = s.opening(ctx, Installation, id) // which sealed backups before they had a scope
	}
	if errors.Is(err, ErrBox) {
		return Value{}, err
	}
	if err != nil {
		return Value{}, fmt.Errorf("opening %s %s: %w", p.Kind, p.Column, err)
	}
	plain, err := openBox(aead, p, b)
	if err != nil {
		return Value{}, err
	}
	return NewValue(plain), nil
}

// sealing is the scope's current key, which one box more is counted of.
func (s *Sealer) sealing(ctx context.Context, scope string) (id [keyIDBytes]byte, aead cipher.AEAD, err error) {
	c := s.currentOf(scope)
	id, ok := c.take(s.now(), s.Limits.Reading)
	if !ok {
		if id, err = s.askCurrent(ctx, scope, c); err != nil {
			return id, nil, err
		}
	}
	aead, err = s.opening(ctx, scope, id)
	if errors.Is(err, ErrBox) {
		err = fmt.Errorf("seal: the data key of %s is gone", scope) // with its vault
	}
	return id, aead, err
}

func (s *Sealer) currentOf(scope string) *current {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.current[scope]
	if c == nil {
		c = &current{turn: make(chan struct{}, 1)}
		s.current[scope] = c
	}
	return c
}

// askCurrent asks the database which key is current, one caller at a time, and takes a
// box of it.
func (s *Sealer) askCurrent(ctx context.Context, scope string, c *current) (id [keyIDBytes]byte, err error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return id, ctx.Err()
	}
	for range maxTries {
		if id, ok := c.take(s.now(), s.Limits.Reading); ok {
			return id, nil
		}
		if err = s.reserve(ctx, scope, c); err != nil && !errors.Is(err, object.ErrChanged) && !errors.Is(err, object.ErrExists) {
			return id, err
		}
	}
	return id, fmt.Errorf("seal: the data key of %s keeps changing: %w", scope, errors.Join(err, object.ErrChanged))
}

// reserve finds out which key is current and sees to it that it may seal. A crash after
// the commit leaves boxes counted that were never sealed.
func (s *Sealer) reserve(ctx context.Context, scope string, c *current) error {
	asked := s.now()
	rows, err := s.rows(ctx, scope)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(k DataKey) bool { return k.Replaced.IsZero() })
	if i < 0 {
		id, err := s.create(ctx, scope)
		if err == nil {
			c.set(id, s.Limits.Block, asked)
		}
		return err
	}
	id, err := parseID(rows[i].ID)
	if err != nil {
		return err
	}
	more := int64(0)
	if !c.reserved(id) {
		more = s.Limits.Block
		if rows[i].Sealed+more > s.Limits.Most {
			return errFull(scope)
		}
		err = s.db.Update(ctx, func(tx Tx) error { return tx.ReserveBoxes(ctx, scope, rows[i].ID, more, s.Limits.Most) })
		if err != nil {
			return err
		}
	}
	c.set(id, more, asked)
	return nil
}

// opening is a key of a scope, or ErrBox when the scope has none of that id.
func (s *Sealer) opening(ctx context.Context, scope string, id [keyIDBytes]byte) (cipher.AEAD, error) {
	s.mu.RLock()
	aead := s.keys[scope][id]
	s.mu.RUnlock()
	if aead != nil {
		return aead, nil
	}
	rows, err := s.rows(ctx, scope)
	if err != nil {
		return nil, err
	}
	name := hex.EncodeToString(id[:])
	i := slices.IndexFunc(rows, func(k DataKey) bool { return k.ID == name })
	if i < 0 {
		return nil, ErrBox
	}
	raw, err := s.unwrap(ctx, rows[i])
	if err != nil {
		return nil, err
	}
	return s.remember(scope, id, raw)
}

// remember keeps a key that was unwrapped.
func (s *Sealer) remember(scope string, id [keyIDBytes]byte, raw Value) (cipher.AEAD, error) {
	aead, err := newAEAD(raw.Reveal())
	if err != nil {
		return nil, err
	}
	clear(raw.Reveal())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[scope] == nil {
		s.keys[scope] = map[[keyIDBytes]byte]cipher.AEAD{}
	}
	s.keys[scope][id] = aead
	return aead, nil
}

func parseID(name string) (id [keyIDBytes]byte, err error) {
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != keyIDBytes {
		return id, fmt.Errorf("seal: bad data key id %q", name)
	}
	return [keyIDBytes]byte(b), nil
}

// Forget drops the data keys of a scope from memory, after its vault is gone.
func (s *Sealer) Forget(v object.VaultID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, string(v))
	delete(s.current, string(v))
}

// Run forgets what was destroyed, of vaults that are gone too, until ctx ends.
func (s *Sealer) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(forgetEvery):
		}
		// If the database cannot be asked now, it can the next time.
		_ = s.ForgetDestroyed(ctx)
		_ = s.refreshRowKeys(ctx, true)
	}
}

// forgetEvery is how long another process may hold a destroyed key, besides the time of a
// question to the database.
const forgetEvery = time.Minute

// ForgetDestroyed drops from memory the data keys that the database does not have any
// more, by whatever replica they were destroyed.
func (s *Sealer) ForgetDestroyed(ctx context.Context) error {
	s.mu.RLock()
	known := map[string][][keyIDBytes]byte{} // before the rows are read: what is made meanwhile stays
	for scope, keys := range s.keys {
		for id := range keys {
			known[scope] = append(known[scope], id)
		}
	}
	s.mu.RUnlock()
	rows, err := s.rows(ctx, "")
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, k := range rows {
		there[k.Scope+" "+k.ID] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope, ids := range known {
		for _, id := range ids {
			if !there[scope+" "+hex.EncodeToString(id[:])] {
				delete(s.keys[scope], id)
			}
		}
	}
	return nil
}

// rows reads the data keys of a scope; of all scopes when scope is "".
func (s *Sealer) rows(ctx context.Context, scope string) (rows []DataKey, err error) {
	err = s.db.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.DataKeys(ctx, scope)
		return err
	})
	return rows, err
}

func (s *Sealer) unwrap(ctx context.Context, row DataKey) (Value, error) {
	raw, err := s.keeper.Unwrap(ctx, row)
	if errors.Is(err, ErrRootKey) {
		err = notAtHand(err)
	}
	if err != nil {
		return Value{}, fmt.Errorf("unwrapping data key %s of %s: %w", row.ID, row.Scope, err)
	}
	return raw, nil
}

// notAtHand: until the root key file of the replica that rotated is here too.
func notAtHand(err error) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "The root key is not at hand now.", Err: err}
}

// Check opens every data key, and logs which it cannot: the wrong copy of a root key,
// after a restore say, should show at the start and not at the first read. It fails
// when none opens; the message calls the root key by name.
func (s *Sealer) Check(ctx context.Context, name string, log *slog.Logger) error {
	rows, err := s.rows(ctx, "")
	if err != nil {
		return err
	}
	opened := false
	for _, row := range rows {
		raw, e := s.keeper.Unwrap(ctx, row)
		switch {
		case e == nil:
			clear(raw.Reveal())
			opened = true
		case fault.Is(e, fault.Unavailable):
			return fmt.Errorf("opening the data keys: %w", e)
		default:
			err = fmt.Errorf("%s does not belong to this database: %w", name, e)
			log.ErrorContext(ctx, "a data key cannot be opened", "scope", row.Scope, "error", e)
		}
	}
	if opened {
		return nil
	}
	return err
}

// Verify opens every data key, and fails with the first that does not open.
func (s *Sealer) Verify(ctx context.Context) error {
	rows, err := s.rows(ctx, "")
	if err != nil {
		return err
	}
	for _, row := range rows {
		raw, err := s.unwrap(ctx, row)
		if err != nil {
			return err
		}
		clear(raw.Reveal())
	}
	return nil
}

// AtHand fails when the keeper lacks a root key that wraps a data key, though this
// process may have that open: it opens one data key of each.
func (s *Sealer) AtHand(ctx context.Context) error {
	rows, err := s.rows(ctx, "")
	if err != nil {
		return err
	}
	asked := map[string]bool{}
	for _, row := range rows {
		if asked[row.RootID] {
			continue
		}
		asked[row.RootID] = true
		raw, err := s.unwrap(ctx, row)
		if err != nil {
			return fmt.Errorf("the data keys of root key %s do not open: %w", row.RootID, err)
		}
		clear(raw.Reveal())
	}
	return nil
}
