package authntest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"coffer/internal/authn"
	"coffer/internal/directory"
	"coffer/internal/fresh"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/token"
)

// Tx is all that the directory, the token service and the verifier need of one
// open transaction.
type Tx interface {
	directory.Tx
	token.Tx
	authn.Tx
}

// DB is a database in memory. A transaction works on a copy, which replaces the
// state when it succeeds.
type DB struct {
	mu    sync.Mutex
	state state // guarded by mu
}

// NewDB makes an empty DB.
func NewDB() *DB {
	return &DB{state: state{
		principals: map[string]directory.Principal{}, credentials: map[string]directory.Credential{},
		members: map[directory.Membership]bool{}, keys: map[string]token.SigningKey{}, assertions: map[string]time.Time{},
	}}
}

// For narrows a DB to the transaction of one package.
type For[T any] struct {
	*DB
	Commits *fresh.Commits // of one process; nil: they are not counted
}

// View runs fn, whose writes are lost.
func (f For[T]) View(_ context.Context, fn func(T) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fn(any(f.state.copy()).(T))
}

// Update runs fn and keeps its writes if it succeeds.
func (f For[T]) Update(_ context.Context, fn func(T) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.state.copy()
	if err := fn(any(next).(T)); err != nil {
		return err
	}
	f.state = *next
	if f.Commits != nil {
		f.Commits.Grow(fresh.All)
	}
	return nil
}

type state struct {
	principals  map[string]directory.Principal
	credentials map[string]directory.Credential
	members     map[directory.Membership]bool
	keys        map[string]token.SigningKey
	assertions  map[string]time.Time
}

func (s state) copy() *state {
	return &state{maps.Clone(s.principals), maps.Clone(s.credentials), maps.Clone(s.members), maps.Clone(s.keys), maps.Clone(s.assertions)}
}

func (s *state) InsertPrincipal(_ context.Context, p *directory.Principal) error {
	for _, q := range s.principals {
		if q.ObjectID == p.ObjectID || q.AppID != "" && q.AppID == p.AppID {
			return object.ErrExists
		}
	}
	s.principals[p.ObjectID] = *p
	return nil
}

func (s *state) UpdatePrincipal(_ context.Context, p *directory.Principal) error {
	old, ok := s.principals[p.ObjectID]
	if !ok {
		return object.ErrNotFound
	}
	old.Name, old.Enabled, old.ValidAfter = p.Name, p.Enabled, p.ValidAfter
	s.principals[p.ObjectID] = old
	return nil
}

func (s *state) Principal(_ context.Context, id string) (*directory.Principal, error) {
	if p, ok := s.principals[id]; ok {
		return &p, nil
	}
	return nil, object.ErrNotFound
}

func (s *state) PrincipalByAppID(_ context.Context, id string) (*directory.Principal, error) {
	for _, p := range s.principals {
		if p.AppID != "" && p.AppID == id {
			return &p, nil
		}
	}
	return nil, object.ErrNotFound
}

func (s *state) Principals(_ context.Context, after string, limit int) (ps []*directory.Principal, err error) {
	for _, id := range slices.Sorted(maps.Keys(s.principals)) {
		if p := s.principals[id]; id > after && len(ps) < limit {
			ps = append(ps, &p)
		}
	}
	return ps, nil
}

func (s *state) DeletePrincipal(_ context.Context, id string) error {
	delete(s.principals, id)
	maps.DeleteFunc(s.credentials, func(_ string, c directory.Credential) bool { return c.ObjectID == id })
	maps.DeleteFunc(s.members, func(m directory.Membership, _ bool) bool { return m.GroupID == id || m.MemberID == id })
	return nil
}

func (s *state) InsertCredential(_ context.Context, c *directory.Credential) error {
	for _, d := range s.credentials {
		if d.ID == c.ID || d.Kind == c.Kind && c.Hash != nil && bytes.Equal(d.Hash, c.Hash) {
			return object.ErrExists
		}
	}
	s.credentials[c.ID] = *c
	return nil
}

func (s *state) Credentials(_ context.Context, id string) (cs []*directory.Credential, err error) {
	for _, c := range s.credentials {
		if c.ObjectID == id {
			cs = append(cs, &c)
		}
	}
	slices.SortFunc(cs, func(a, b *directory.Credential) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return cs, nil
}

func (s *state) CredentialByHash(_ context.Context, kind directory.CredentialKind, hash []byte) (*directory.Credential, error) {
	for _, c := range s.credentials {
		if c.Kind == kind && c.Hash != nil && bytes.Equal(c.Hash, hash) {
			return &c, nil
		}
	}
	return nil, object.ErrNotFound
}

func (s *state) DeleteCredential(_ context.Context, owner, id string) error {
	if s.credentials[id].ObjectID == owner {
		delete(s.credentials, id)
	}
	return nil
}

func (s *state) InsertMembership(_ context.Context, m directory.Membership) error {
	s.members[m] = true
	return nil
}

func (s *state) DeleteMembership(_ context.Context, m directory.Membership) error {
	delete(s.members, m)
	return nil
}

func (s *state) GroupsOf(_ context.Context, id string) (ids []string, err error) {
	for m := range s.members {
		if m.MemberID == id {
			ids = append(ids, m.GroupID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func (s *state) MembersOf(_ context.Context, id string) (ids []string, err error) {
	for m := range s.members {
		if m.GroupID == id {
			ids = append(ids, m.MemberID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func (s *state) InsertSigningKey(_ context.Context, k *token.SigningKey) error {
	if _, ok := s.keys[k.ID]; ok {
		return object.ErrExists
	}
	s.keys[k.ID] = *k
	return nil
}

func (s *state) SigningKeys(context.Context) (ks []*token.SigningKey, err error) {
	for _, k := range s.keys {
		ks = append(ks, &k)
	}
	slices.SortFunc(ks, func(a, b *token.SigningKey) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return ks, nil
}

func (s *state) DeleteSigningKey(_ context.Context, id string) error {
	delete(s.keys, id)
	return nil
}

func (s *state) RememberAssertion(_ context.Context, id string, until time.Time) (bool, error) {
	if _, ok := s.assertions[id]; ok {
		return false, nil
	}
	s.assertions[id] = until
	return true, nil
}

func (s *state) ForgetAssertions(_ context.Context, before time.Time) error {
	maps.DeleteFunc(s.assertions, func(_ string, until time.Time) bool { return until.Before(before) })
	return nil
}

// NewSealer makes a Sealer with a random key.
func NewSealer() token.Sealer {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return sealer{aead}
}

type sealer struct{ aead cipher.AEAD }

func (s sealer) Seal(_ context.Context, p seal.Place, plain seal.Value) (seal.Box, error) {
	return s.aead.Seal(nil, nil, plain.Reveal(), fmt.Append(nil, p)), nil
}

func (s sealer) Open(_ context.Context, p seal.Place, box seal.Box) (seal.Value, error) {
	plain, err := s.aead.Open(nil, nil, box, fmt.Append(nil, p))
	return seal.NewValue(plain), err
}
