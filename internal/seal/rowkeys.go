package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// Rows is the scope of the key that authenticates rows: what a decision rests on is not
// secret, but nobody without the root key can write it.
const Rows = "rows"

// ErrTag reports a tag that was not made of these bytes with a key of this installation.
var ErrTag = errors.New("seal: the tag is not of these bytes")

// ErrNoRowKey reports an installation whose rows were never authenticated, or whose key
// for that is gone.
var ErrNoRowKey = errors.New("seal: there is no key that authenticates rows")

// RowKeys make and check the tags of rows. It is safe for concurrent use, and never asks
// anybody: what is needed is at hand since it was loaded.
//
//	tag: data key id (8 bytes) | HMAC-SHA-256 (32 bytes)
type RowKeys struct {
	mu      sync.RWMutex
	current [keyIDBytes]byte
	keys    map[[keyIDBytes]byte][]byte
	stale   bool // a tag named a key that is not among them
}

// Row names a row that has a tag; the zero Row is before all.
type Row struct {
	Table string
	Key   []string // the values of its primary key
}

// TagSize is the size of a tag, in bytes.
const TagSize = keyIDBytes + sha256.Size

// NewRowKeys makes keys out of one that is given, for what has no Sealer: a test.
func NewRowKeys(id [8]byte, key Value) (*RowKeys, error) {
	r := &RowKeys{current: id, keys: map[[keyIDBytes]byte][]byte{}}
	return r, r.add(id, key)
}

// rowKeyInfo separates the derived key from all other uses of a data key (RFC 5869, 2.3).
const rowKeyInfo = "coffer row authentication, HMAC-SHA-256"

func (r *RowKeys) add(id [keyIDBytes]byte, raw Value) error {
	key, err := hkdf.Key(sha256.New, raw.Reveal(), nil, rowKeyInfo, sha256.Size)
	if err != nil {
		return fmt.Errorf("deriving the key that authenticates rows: %w", err)
	}
	r.keys[id] = key
	return nil
}

// Tag makes the tag of a message with the current key.
func (r *RowKeys) Tag(message []byte) []byte {
	r.mu.RLock()
	id, key := r.current, r.keys[r.current]
	r.mu.RUnlock()
	return mac(key, id, message)
}

func mac(key []byte, id [keyIDBytes]byte, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(append(make([]byte, 0, TagSize), id[:]...))
}

// Verify is nil if tag was made of message. A tag of a key that is not known yet is a
// *fault.Error, Unavailable: another replica may have made that key a moment ago. Any other
// failure is ErrTag.
func (r *RowKeys) Verify(message, tag []byte) error {
	if len(tag) != TagSize {
		return ErrTag
	}
	id := [keyIDBytes]byte(tag)
	r.mu.RLock()
	key := r.keys[id]
	r.mu.RUnlock()
	if key == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stale = true
		return &fault.Error{Kind: fault.Unavailable, Msg: "The key that authenticates what is stored is not at hand now.", Err: ErrTag}
	}
	if !hmac.Equal(mac(key, id, message), tag) {
		return ErrTag
	}
	return nil
}

// Current is the id of the key that tags are made with.
func (r *RowKeys) Current() []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.current[:]
}

// RowKeys loads the keys that authenticate rows. Without one it makes the first if create
// says so, and is ErrNoRowKey else: rows that nobody authenticated must not become
// trusted by a key that comes later.
func (s *Sealer) RowKeys(ctx context.Context, create bool) (*RowKeys, error) {
	r := &RowKeys{}
	err := s.loadRowKeys(ctx, r)
	if errors.Is(err, ErrNoRowKey) && create {
		if _, err = s.create(ctx, Rows); err == nil || errors.Is(err, object.ErrExists) {
			err = s.loadRowKeys(ctx, r)
		}
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rowKeys = r
	return r, nil
}

func (s *Sealer) loadRowKeys(ctx context.Context, r *RowKeys) error {
	rows, err := s.rows(ctx, Rows)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(k DataKey) bool { return k.Replaced.IsZero() })
	if i < 0 {
		return ErrNoRowKey
	}
	fresh := RowKeys{keys: map[[keyIDBytes]byte][]byte{}}
	for _, k := range rows {
		id, err := parseID(k.ID)
		if err != nil {
			return err
		}
		raw, err := s.unwrap(ctx, k)
		if err != nil {
			return err
		}
		err = fresh.add(id, raw)
		clear(raw.Reveal())
		if err != nil {
			return err
		}
	}
	current, err := hex.DecodeString(rows[i].ID)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current, r.keys, r.stale = [keyIDBytes]byte(current), fresh.keys, false
	return nil
}

// refreshRowKeys loads the keys again where that is needed: always, or when a tag named one
// that is not known.
func (s *Sealer) refreshRowKeys(ctx context.Context, always bool) error {
	s.mu.RLock()
	r := s.rowKeys
	s.mu.RUnlock()
	if r == nil {
		return nil
	}
	r.mu.RLock()
	needed := always || r.stale
	r.mu.RUnlock()
	if !needed {
		return nil
	}
	return s.loadRowKeys(ctx, r)
}
