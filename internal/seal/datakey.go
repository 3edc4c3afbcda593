package seal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// The scopes that are no vault.
const (
	// Installation is the scope of what belongs to no vault.
	Installation = "installation"
	// Backups is the scope of backups of objects, which are kept outside of the database.
	Backups = "backups"
	// Continuations is the scope of paging tokens: as many as callers like to ask for,
	// so that they use up no vault's key.
	Continuations = "continuations"
)

// scopeOf says whose data key seals a place.
func scopeOf(p Place) string {
	switch {
	case p.Kind == backupKind:
		return Backups
	case p.Kind == continuationKind:
		return Continuations
	case p.Vault == "":
		return Installation
	}
	return string(p.Vault)
}

// The kinds of what is sealed and not stored.
const (
	backupKind       = "backup"
	continuationKind = "continuation"
)

// ending is what becomes of a key that was replaced.
type ending int

const (
	sealedAgain ending = iota // destroyed when each of its boxes is sealed by its successor
	kept                      // kept until it is released
	aged                      // destroyed when the last of its boxes is worth nothing any more
)

// endings are those of the scopes that are no vault; the keys of vaults are sealedAgain.
var endings = map[string]ending{Installation: sealedAgain, Backups: kept, Continuations: aged, Rows: sealedAgain}

// VaultOf is the vault that a scope is of; "" for one of the installation.
func VaultOf(scope string) object.VaultID {
	if _, ok := endings[scope]; ok {
		return ""
	}
	return object.VaultID(scope)
}

// DataKey is a data key at rest: wrapped by the root key named RootID. A scope has one
// that is current, and those that it replaced until they are destroyed:
//
//	current -> Replaced: seals nothing new, opens -> Closed: no box of it is stored any more -> destroyed, or Kept
type DataKey struct {
	Scope   string // a vault's id, or one of the installation's
	ID      string // 16 hex digits
	RootID  string
	Wrapped []byte
	Created time.Time

	// Sealed is how many boxes it may have sealed: never fewer than it has.
	Sealed int64
	// Replaced is when its successor was made; zero: it is current.
	Replaced time.Time
	// Closed is since when no box of it can be stored; zero: not yet.
	Closed time.Time
	// Kept keeps it from being destroyed: backups of objects open with it.
	Kept bool
}

// RowTx is what the key that authenticates rows needs of one open transaction.
type RowTx interface {
	// TaggedUnder lists at most limit rows that a key has tagged, those behind a row, in an
	// order of its own.
	TaggedUnder(ctx context.Context, id string, after Row, limit int) ([]Row, error)
	// TagAgain makes the tags of rows anew with the current key; those that are gone it leaves
	// out. A row whose tag is wrong is an error.
	TagAgain(ctx context.Context, rows []Row) error
}

// Tx is what sealing needs of one open transaction.
type Tx interface {
	RowTx
	// DataKeys lists the data keys of a scope, oldest first; of all scopes when
	// scope is "".
	DataKeys(ctx context.Context, scope string) ([]DataKey, error)
	// InsertDataKey fails with object.ErrExists when the scope already has a key
	// of that id, or one that is current.
	InsertDataKey(ctx context.Context, k DataKey) error
	// RewrapDataKey replaces RootID and Wrapped of the key of that scope and id.
	RewrapDataKey(ctx context.Context, k DataKey) error
	// ReserveBoxes adds n to what a current key has sealed; object.ErrChanged when it
	// is not current any more, or that would be more than most.
	ReserveBoxes(ctx context.Context, scope, id string, n, most int64) error
	// ReplaceDataKey makes a current key one that was replaced; object.ErrChanged when
	// it was already.
	ReplaceDataKey(ctx context.Context, scope, id string, at time.Time) error
	// CloseDataKey refuses the boxes of a replaced key from its commit on, with
	// ErrClosed: no transaction that is then under way stores one either.
	CloseDataKey(ctx context.Context, scope, id string, at time.Time) error
	// ReleaseDataKeys takes Kept from every key that was replaced.
	ReleaseDataKeys(ctx context.Context) error
	// DestroyDataKey removes a closed key that is not Kept; object.ErrChanged when it is
	// not there, is not so, or a box of it is stored.
	DestroyDataKey(ctx context.Context, scope, id string) error

	// SealedUnder lists at most limit boxes of a scope that a key has sealed, those
	// behind a place, in an order of its own.
	SealedUnder(ctx context.Context, scope, id string, after Place, limit int) ([]Stored, error)
	// CountSealed counts the boxes of a scope that a key has sealed; all of the scope
	// when id is "".
	CountSealed(ctx context.Context, scope, id string) (int64, error)
	// ReplaceBox stores a box in the place of another one; object.ErrChanged when that
	// is not there any more.
	ReplaceBox(ctx context.Context, s Stored, by Box) error
}

// Stored is a box with its place.
type Stored struct {
	Place Place
	Box   Box
}

// ErrClosed reports a box that was to be stored though its data key is replaced and
// seals no more. Sealed again, it can be.
var ErrClosed = errors.New("seal: the data key of the box has been replaced")

// Limits bound how long and how often data keys are used.
type Limits struct {
	// Most is how many boxes a data key seals at the most, and Soon how many are so
	// many that it is replaced (Sealer.Due).
	Most, Soon int64
	// Block is how many boxes a process reserves at a time. What it does not seal of
	// them before it ends counts all the same.
	Block int64
	// Grace is how long boxes of a key are stored after it was replaced, and how long
	// it opens after the last one was replaced: longer than a request is under way.
	Grace time.Duration
	// Reading is how long it takes at most until a process knows that another one has
	// replaced a key.
	Reading time.Duration
	// Continuation is how long a paging token opens at least.
	Continuation time.Duration
}

// DefaultLimits are those of a Sealer. With random nonces a key of AES-GCM may seal 2^32
// boxes (NIST SP 800-38D, 8.3); half of that leaves room for what was not counted.
var DefaultLimits = Limits{
	Most: 1 << 31, Soon: 1<<31 - 1<<29, Block: 1 << 16,
	Grace: time.Minute, Reading: time.Second, Continuation: 24 * time.Hour,
}

// newDataKey is a key that is not stored yet.
type newDataKey struct {
	DataKey
	id  [keyIDBytes]byte
	raw Value
}

// generate makes a key of a scope, not wrapped yet, and reserves its first block.
func (s *Sealer) generate(scope string) (k newDataKey) {
	raw := make([]byte, 32)
	rand.Read(raw)
	rand.Read(k.id[:])
	k.DataKey = DataKey{Scope: scope, ID: hex.EncodeToString(k.id[:]), Created: object.Second(s.now()),
		Sealed: s.Limits.Block, Kept: endings[scope] == kept}
	k.raw = NewValue(raw)
	return k
}

// insert stores a new key. It is wrapped before the transaction, which
// stores it only while the same root keys are in use as before: one that another
// has replaced since, and is about to retire, gets no more data keys. first is what else
// the transaction does, before.
func (s *Sealer) insert(ctx context.Context, k newDataKey, first func(Tx) error) error {
	return again(func() error {
		before, err := s.rows(ctx, "")
		if err == nil {
			err = s.isCurrent(ctx, before)
		}
		if err != nil {
			return err
		}
		if k.RootID, k.Wrapped, err = s.keeper.Wrap(ctx, k.Scope, k.ID, k.raw); err != nil {
			return fmt.Errorf("wrapping a new data key: %w", err)
		}
		return s.db.Update(ctx, func(tx Tx) error {
			rows, err := tx.DataKeys(ctx, "")
			if err == nil && !maps.Equal(rootIDs(rows), rootIDs(before)) {
				err = object.ErrChanged
			}
			if err == nil {
				err = first(tx)
			}
			if err != nil {
				return err
			}
			return tx.InsertDataKey(ctx, k.DataKey)
		})
	})
}

// create makes the first key of a scope; object.ErrExists when another was first.
func (s *Sealer) create(ctx context.Context, scope string) ([keyIDBytes]byte, error) {
	k := s.generate(scope)
	if err := s.insert(ctx, k, func(Tx) error { return nil }); err != nil {
		return k.id, err
	}
	_, err := s.remember(scope, k.id, k.raw)
	return k.id, err
}

// maxTries bounds how often something is wrapped again because root or data keys
// changed meanwhile.
const maxTries = 5

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
		var raw Value
		if raw, err = s.keeper.Unwrap(ctx, row); err == nil {
			clear(raw.Reveal())
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

// errFull: its successor is made long before that.
func errFull(scope string) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "The data key has sealed as much as it may, and has no successor yet.",
		Err: fmt.Errorf("seal: the data key of %s is used up: run 'coffer rotate --data-keys', and see the log for why it was not replaced", scope)}
}
