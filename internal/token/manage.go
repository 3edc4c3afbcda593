package token

import (
	"context"
	"slices"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/fault"
)

// KeyInfo tells of a signing key without any part of it.
type KeyInfo struct {
	ID       string
	Created  time.Time
	RetireAt time.Time // no token that it signed is good after this
	Signs    bool      // new tokens are signed with it now; of one key
}

// Keys lists the signing keys, oldest first.
func (s *Service) Keys(ctx context.Context, g access.Grant) (list []KeyInfo, err error) {
	g.MustEverywhere(access.TokenKeyList, access.TokenKeyRotate, access.TokenKeyRevoke)
	keys, err := s.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	signer := s.choose(keys)
	for _, k := range keys {
		list = append(list, KeyInfo{ID: k.row.ID, Created: k.row.Created, RetireAt: k.row.RetireAt, Signs: k == signer})
	}
	return list, nil
}

// RotateKeys makes a new signing key before its time. It takes over within a minute;
// tokens signed with the old ones stay good until they expire.
func (s *Service) RotateKeys(ctx context.Context, g access.Grant) error {
	g.MustEverywhere(access.TokenKeyRotate)
	return s.replace(ctx, g, keepAll)
}

// RevokeKeys destroys signing keys, all or those of the given ids, and makes a new one
// that signs when no other is left. The tokens that they signed are refused: at once in
// this process, in others as soon as their Source says. An id that no key has is a
// *fault.Error of kind NotFound, and then nothing is revoked.
func (s *Service) RevokeKeys(ctx context.Context, g access.Grant, ids []string) error {
	g.MustEverywhere(access.TokenKeyRevoke)
	have, err := s.Keys(ctx, g)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(have, func(k KeyInfo) bool { return k.ID == id }) {
			return &fault.Error{Kind: fault.NotFound, Msg: "There is no signing key '" + id + "': 'coffer token keys' lists them."}
		}
	}
	return s.replace(ctx, g, func(k *SigningKey) bool { return len(ids) == 0 || slices.Contains(ids, k.ID) })
}

// replace makes a new key in the place of those that drop picks, and tells the record.
func (s *Service) replace(ctx context.Context, g access.Grant, drop func(*SigningKey) bool) error {
	s.making.Lock()
	defer s.making.Unlock()
	before, after, err := s.makeKey(ctx, drop)
	slices.Sort(before) // two that were made in one second have no other order
	slices.Sort(after)
	g.Attempt().DescribeBefore(audit.Details{SigningKeys: &audit.SigningKeysProperties{IDs: before}})
	g.Attempt().Describe(audit.Details{SigningKeys: &audit.SigningKeysProperties{IDs: after}})
	return err
}
