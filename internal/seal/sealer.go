package seal

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// Installation is the scope of what belongs to no vault.
const Installation = "installation"

// DataKey is a data key at rest: wrapped by the root key named RootID.
type DataKey struct {
	Scope   string // a vault's id, or Installation
	ID      string // 16 hex digits
	RootID  string
	Wrapped []byte
	Created time.Time
}

// Tx is what sealing needs of one open transaction.
type Tx interface {
	// DataKeys lists the data keys of a scope, oldest first; of all scopes when
	// scope is "".
	DataKeys(ctx context.Context, scope string) ([]DataKey, error)
	// InsertDataKey fails with object.ErrExists when the scope already has a key
	// of that id. Each scope has at most one key without a successor: a second
	// first key of a scope is object.ErrExists too.
	InsertDataKey(ctx context.Context, k DataKey) error
	// RewrapDataKey replaces RootID and Wrapped of the key of that scope and id.
	RewrapDataKey(ctx context.Context, k DataKey) error
}

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
// keys stay in memory: one of 32 bytes for each vault in use.
type Sealer struct {
	keeper Keeper
	db     object.DB[Tx]
	now    func() time.Time

	mu   sync.RWMutex
	keys map[string]*scopeKeys // guarded by mu
}

type scopeKeys struct {
	current [keyIDBytes]byte
	aead    map[[keyIDBytes]byte]cipher.AEAD
}

// NewSealer makes a Sealer; it reads nothing yet.
func NewSealer(keeper Keeper, db object.DB[Tx], now func() time.Time) *Sealer {
	return &Sealer{keeper: keeper, db: db, now: now, keys: map[string]*scopeKeys{}}
}

// scopeOf says whose data key seals a place.
func scopeOf(p Place) string {
	if p.Vault == "" {
		return Installation
	}
	return string(p.Vault)
}

// Seal puts plaintext into a box bound to p, making the scope's data key on its
// first use.
func (s *Sealer) Seal(ctx context.Context, p Place, plaintext Value) (Box, error) {
	k, err := s.scope(ctx, scopeOf(p), true)
	if err != nil {
		return nil, fmt.Errorf("sealing %s %s: %w", p.Kind, p.Column, err)
	}
	return sealBox(k.aead[k.current], k.current, p, plaintext.Reveal()), nil
}

// Open gives the content of a box that was sealed for p, or ErrBox.
func (s *Sealer) Open(ctx context.Context, p Place, b Box) (Value, error) {
	id, err := b.keyID()
	if err != nil {
		return Value{}, err
	}
	k, err := s.scope(ctx, scopeOf(p), false)
	if err != nil {
		return Value{}, fmt.Errorf("opening %s %s: %w", p.Kind, p.Column, err)
	}
	aead, ok := k.aead[id]
	if !ok {
		return Value{}, ErrBox
	}
	plain, err := openBox(aead, p, b)
	if err != nil {
		return Value{}, err
	}
	return NewValue(plain), nil
}

// Forget drops the data keys of a scope from memory, after its vault is gone.
func (s *Sealer) Forget(v object.VaultID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, string(v))
}

func (s *Sealer) scope(ctx context.Context, scope string, create bool) (*scopeKeys, error) {
	s.mu.RLock()
	k := s.keys[scope]
	s.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	k, err := s.load(ctx, scope)
	if err == nil && k == nil {
		if !create {
			return nil, ErrBox
		}
		if k, err = s.create(ctx, scope); errors.Is(err, object.ErrExists) {
			if k, err = s.load(ctx, scope); err == nil && k == nil { // somebody else was first
				err = fmt.Errorf("seal: the data key of %s is gone", scope) // and has deleted the vault since
			}
		}
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[scope] = k
	return k, nil
}

// rows reads the data keys of a scope; of all scopes when scope is "".
func (s *Sealer) rows(ctx context.Context, scope string) (rows []DataKey, err error) {
	err = s.db.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.DataKeys(ctx, scope)
		return err
	})
	return rows, err
}

// load unwraps the scope's keys; nil when it has none.
func (s *Sealer) load(ctx context.Context, scope string) (*scopeKeys, error) {
	rows, err := s.rows(ctx, scope)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	k := &scopeKeys{aead: map[[keyIDBytes]byte]cipher.AEAD{}}
	for _, row := range rows {
		raw, err := s.unwrap(ctx, row)
		if err != nil {
			return nil, err
		}
		if err := k.add(row.ID, raw); err != nil {
			return nil, err
		}
	}
	return k, nil
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

// maxTries bounds how often something is wrapped again because root or data keys
// changed meanwhile.
const maxTries = 5

// create makes the first key of a scope. It is wrapped before the transaction, which
// stores it only while the same root keys are in use as before: one that another
// has replaced since, and is about to retire, gets no more data keys.
func (s *Sealer) create(ctx context.Context, scope string) (*scopeKeys, error) {
	raw := make([]byte, 32)
	rand.Read(raw)
	var id [keyIDBytes]byte
	rand.Read(id[:])
	row := DataKey{Scope: scope, ID: hex.EncodeToString(id[:]), Created: object.Second(s.now())}
	err := again(func() error {
		before, err := s.rows(ctx, "")
		if err == nil {
			err = s.isCurrent(ctx, before)
		}
		if err != nil {
			return err
		}
		if row.RootID, row.Wrapped, err = s.keeper.Wrap(ctx, scope, row.ID, NewValue(raw)); err != nil {
			return fmt.Errorf("wrapping a new data key: %w", err)
		}
		return s.db.Update(ctx, func(tx Tx) error {
			rows, err := tx.DataKeys(ctx, "")
			if err == nil && !maps.Equal(rootIDs(rows), rootIDs(before)) {
				err = object.ErrChanged
			}
			if err != nil {
				return err
			}
			return tx.InsertDataKey(ctx, row)
		})
	})
	if err != nil {
		return nil, err
	}
	k := &scopeKeys{aead: map[[keyIDBytes]byte]cipher.AEAD{}}
	return k, k.add(row.ID, NewValue(raw))
}

// again calls fn until it ends otherwise than with object.ErrChanged, maxTries at the
// most.
func again(fn func() error) (err error) {
	for range maxTries {
		if err = fn(); !errors.Is(err, object.ErrChanged) {
			return err
		}
	}
	return fmt.Errorf("the root key or the data keys keep changing: %w", err)
}

// rootIDs are the root keys in use.
func rootIDs(rows []DataKey) map[string]bool {
	ids := map[string]bool{}
	for _, row := range rows {
		ids[row.RootID] = true
	}
	return ids
}

// isCurrent refuses to make a data key when the keeper can open none of those that
// the database has: another replica has rotated the root key, and has no old one
// left for what would be wrapped here.
func (s *Sealer) isCurrent(ctx context.Context, rows []DataKey) (err error) {
	for _, row := range rows {
		if _, err = s.keeper.Unwrap(ctx, row); err == nil {
			return nil
		}
	}
	if err != nil {
		err = fmt.Errorf("the root key here is older than the database; bring the one of the replica that rotated it: %w", err)
	}
	if errors.Is(err, ErrRootKey) {
		return notAtHand(err)
	}
	return err
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
		_, e := s.keeper.Unwrap(ctx, row)
		switch {
		case e == nil:
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
		if _, err := s.unwrap(ctx, row); err != nil {
			return err
		}
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
		if _, err := s.unwrap(ctx, row); err != nil {
			return fmt.Errorf("the data keys of root key %s do not open: %w", row.RootID, err)
		}
	}
	return nil
}

func (k *scopeKeys) add(id string, raw Value) error {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != keyIDBytes {
		return fmt.Errorf("seal: bad data key id %q", id)
	}
	aead, err := newAEAD(raw.Reveal())
	if err != nil {
		return err
	}
	copy(k.current[:], b)
	k.aead[k.current] = aead
	return nil
}

// Rewrap wraps every data key under the keeper's current root key, and stores them in
// one transaction, if they are still those that were wrapped. A crash before the
// commit leaves every key as it was, after it every key rewrapped: the keeper must
// hold both root keys until it returns. It returns how many keys were rewrapped.
func (s *Sealer) Rewrap(ctx context.Context) (n int, err error) {
	done := map[rewrapped]DataKey{}
	err = again(func() error {
		rows, err := s.rows(ctx, "")
		if err == nil && len(rows) == 0 {
			// create knows by the data keys that the root key was replaced.
			if _, err = s.scope(ctx, Installation, true); err == nil {
				rows, err = s.rows(ctx, "")
			}
		}
		if err == nil {
			err = s.rewrap(ctx, rows, done)
		}
		if err != nil {
			return err
		}
		n = len(rows)
		return s.db.Update(ctx, func(tx Tx) error { return storeRewrapped(ctx, tx, rows, done) })
	})
	return n, err
}

// rewrapped names a data key under one root key.
type rewrapped struct{ scope, id, root string }

func (k DataKey) underRoot() rewrapped { return rewrapped{k.Scope, k.ID, k.RootID} }

// rewrap wraps those of the keys that are not done yet.
func (s *Sealer) rewrap(ctx context.Context, rows []DataKey, done map[rewrapped]DataKey) error {
	for _, row := range rows {
		if _, ok := done[row.underRoot()]; ok {
			continue
		}
		raw, err := s.unwrap(ctx, row)
		if err != nil {
			return err
		}
		next := row
		if next.RootID, next.Wrapped, err = s.keeper.Wrap(ctx, row.Scope, row.ID, raw); err != nil {
			return fmt.Errorf("wrapping data key %s of %s: %w", row.ID, row.Scope, err)
		}
		done[row.underRoot()] = next
	}
	return nil
}

// storeRewrapped stores what was made of rows; object.ErrChanged when the data keys
// are others by now.
func storeRewrapped(ctx context.Context, tx Tx, rows []DataKey, done map[rewrapped]DataKey) error {
	stored, err := tx.DataKeys(ctx, "")
	if err != nil {
		return err
	}
	if !slices.EqualFunc(stored, rows, func(a, b DataKey) bool { return a.underRoot() == b.underRoot() }) {
		return object.ErrChanged
	}
	for _, row := range rows {
		if err := tx.RewrapDataKey(ctx, done[row.underRoot()]); err != nil {
			return err
		}
	}
	return nil
}
