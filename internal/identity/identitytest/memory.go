package identitytest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"coffer/internal/identity"
	"coffer/internal/object"
)

// DB opens transactions of the directory.
type DB = object.DB[identity.Tx]

// NewDB makes an empty database in memory. A transaction works on a copy,
// which replaces the state when it succeeds.
func NewDB() DB {
	return &memory{state: state{
		principals: map[string]identity.Principal{}, credentials: map[string]identity.Credential{},
		members: map[identity.Membership]bool{}, keys: map[string]identity.SigningKey{}, assertions: map[string]time.Time{},
	}}
}

type memory struct {
	mu    sync.Mutex
	state state // guarded by mu
}

type state struct {
	principals  map[string]identity.Principal
	credentials map[string]identity.Credential
	members     map[identity.Membership]bool
	keys        map[string]identity.SigningKey
	assertions  map[string]time.Time
}

func (m *memory) View(ctx context.Context, fn func(identity.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fn(m.state.copy())
}

func (m *memory) Update(ctx context.Context, fn func(identity.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.state.copy()
	if err := fn(next); err != nil {
		return err
	}
	m.state = *next
	return nil
}

func (s state) copy() *state {
	return &state{maps.Clone(s.principals), maps.Clone(s.credentials), maps.Clone(s.members), maps.Clone(s.keys), maps.Clone(s.assertions)}
}

func (s *state) InsertPrincipal(_ context.Context, p *identity.Principal) error {
	for _, q := range s.principals {
		if q.ObjectID == p.ObjectID || q.AppID != "" && q.AppID == p.AppID {
			return object.ErrExists
		}
	}
	s.principals[p.ObjectID] = *p
	return nil
}

func (s *state) UpdatePrincipal(_ context.Context, p *identity.Principal) error {
	old, ok := s.principals[p.ObjectID]
	if !ok {
		return object.ErrNotFound
	}
	old.Name, old.Enabled = p.Name, p.Enabled
	s.principals[p.ObjectID] = old
	return nil
}

func (s *state) Principal(_ context.Context, id string) (*identity.Principal, error) {
	if p, ok := s.principals[id]; ok {
		return &p, nil
	}
	return nil, object.ErrNotFound
}

func (s *state) PrincipalByAppID(_ context.Context, id string) (*identity.Principal, error) {
	for _, p := range s.principals {
		if p.AppID != "" && p.AppID == id {
			return &p, nil
		}
	}
	return nil, object.ErrNotFound
}

func (s *state) Principals(_ context.Context, after string, limit int) (ps []*identity.Principal, err error) {
	for _, id := range slices.Sorted(maps.Keys(s.principals)) {
		if p := s.principals[id]; id > after && len(ps) < limit {
			ps = append(ps, &p)
		}
	}
	return ps, nil
}

func (s *state) DeletePrincipal(_ context.Context, id string) error {
	delete(s.principals, id)
	maps.DeleteFunc(s.credentials, func(_ string, c identity.Credential) bool { return c.ObjectID == id })
	maps.DeleteFunc(s.members, func(m identity.Membership, _ bool) bool { return m.GroupID == id || m.MemberID == id })
	return nil
}

func (s *state) InsertCredential(_ context.Context, c *identity.Credential) error {
	for _, d := range s.credentials {
		if d.ID == c.ID || d.Kind == c.Kind && c.Hash != nil && bytes.Equal(d.Hash, c.Hash) {
			return object.ErrExists
		}
	}
	s.credentials[c.ID] = *c
	return nil
}

func (s *state) Credentials(_ context.Context, id string) (cs []*identity.Credential, err error) {
	for _, c := range s.credentials {
		if c.ObjectID == id {
			cs = append(cs, &c)
		}
	}
	slices.SortFunc(cs, func(a, b *identity.Credential) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return cs, nil
}

func (s *state) CredentialByHash(_ context.Context, kind identity.CredentialKind, hash []byte) (*identity.Credential, error) {
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

func (s *state) InsertMembership(_ context.Context, m identity.Membership) error {
	s.members[m] = true
	return nil
}

func (s *state) DeleteMembership(_ context.Context, m identity.Membership) error {
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

func (s *state) InsertSigningKey(_ context.Context, k *identity.SigningKey) error {
	if _, ok := s.keys[k.ID]; ok {
		return object.ErrExists
	}
	s.keys[k.ID] = *k
	return nil
}

func (s *state) SigningKeys(context.Context) (ks []*identity.SigningKey, err error) {
	for _, k := range s.keys {
		ks = append(ks, &k)
	}
	slices.SortFunc(ks, func(a, b *identity.SigningKey) int {
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
func NewSealer() identity.Sealer {
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

func (s sealer) Seal(_ context.Context, keyID string, plain []byte) ([]byte, error) {
	return s.aead.Seal(nil, nil, plain, []byte(keyID)), nil
}

func (s sealer) Open(_ context.Context, keyID string, box []byte) ([]byte, error) {
	return s.aead.Open(nil, nil, box, []byte(keyID))
}
