package seal

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

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

// Keeper holds the root key and never gives it away.
type Keeper interface {
	// Wrap seals a data key under the current root key and names that root key.
	Wrap(scope, keyID string, dataKey []byte) (rootID string, wrapped []byte, err error)
	// Unwrap opens what Wrap made. ErrRootKey: the root key is not kept here.
	Unwrap(k DataKey) ([]byte, error)
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

// load unwraps the scope's keys; nil when it has none.
func (s *Sealer) load(ctx context.Context, scope string) (*scopeKeys, error) {
	var rows []DataKey
	err := s.db.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.DataKeys(ctx, scope)
		return err
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	k := &scopeKeys{aead: map[[keyIDBytes]byte]cipher.AEAD{}}
	for _, row := range rows {
		raw, err := s.keeper.Unwrap(row)
		if err != nil {
			return nil, fmt.Errorf("unwrapping data key %s of %s: %w", row.ID, row.Scope, err)
		}
		if err := k.add(row.ID, raw); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (s *Sealer) create(ctx context.Context, scope string) (*scopeKeys, error) {
	raw := make([]byte, 32)
	rand.Read(raw)
	var id [keyIDBytes]byte
	rand.Read(id[:])
	row := DataKey{Scope: scope, ID: hex.EncodeToString(id[:]), Created: object.Second(s.now())}
	// Wrapping inside the transaction puts it before or after that of Rewrap as a
	// whole: no key is stored under a root key that is then retired.
	err := s.db.Update(ctx, func(tx Tx) (err error) {
		if err := s.isCurrent(ctx, tx); err != nil {
			return err
		}
		if row.RootID, row.Wrapped, err = s.keeper.Wrap(scope, row.ID, raw); err != nil {
			return fmt.Errorf("wrapping a new data key: %w", err)
		}
		return tx.InsertDataKey(ctx, row)
	})
	if err != nil {
		return nil, err
	}
	k := &scopeKeys{aead: map[[keyIDBytes]byte]cipher.AEAD{}}
	return k, k.add(row.ID, raw)
}

// isCurrent refuses to make a data key when the keeper can open none of those that
// the database has: another replica has rotated the root key, and has no old one
// left for what would be wrapped here.
func (s *Sealer) isCurrent(ctx context.Context, tx Tx) error {
	rows, err := tx.DataKeys(ctx, "")
	if err != nil || len(rows) == 0 {
		return err
	}
	for _, row := range rows {
		if _, err = s.keeper.Unwrap(row); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the root key here is older than the database; bring the one of the replica that rotated it: %w", err)
}

func (k *scopeKeys) add(id string, raw []byte) error {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != keyIDBytes {
		return fmt.Errorf("seal: bad data key id %q", id)
	}
	aead, err := newAEAD(raw)
	if err != nil {
		return err
	}
	copy(k.current[:], b)
	k.aead[k.current] = aead
	return nil
}

// Rewrap wraps every data key under the keeper's current root key, in one
// transaction. A crash before the commit leaves every key as it was, after it
// every key rewrapped: the keeper must hold both root keys until it returns.
// It returns how many keys were rewrapped.
func (s *Sealer) Rewrap(ctx context.Context) (int, error) {
	n := 0
	err := s.db.Update(ctx, func(tx Tx) error {
		n = 0
		rows, err := tx.DataKeys(ctx, "")
		if err != nil {
			return err
		}
		for _, row := range rows {
			raw, err := s.keeper.Unwrap(row)
			if err != nil {
				return fmt.Errorf("unwrapping data key %s of %s: %w", row.ID, row.Scope, err)
			}
			if row.RootID, row.Wrapped, err = s.keeper.Wrap(row.Scope, row.ID, raw); err != nil {
				return err
			}
			if err := tx.RewrapDataKey(ctx, row); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}
