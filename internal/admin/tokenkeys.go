package admin

import (
	"context"

	"coffer/internal/access"
)

func (s *Service) tokenKeys(ctx context.Context, g access.Grant, _ None) ([]TokenKeyView, error) {
	list, err := s.cfg.Tokens.Keys(ctx, g)
	views := []TokenKeyView{}
	for _, k := range list {
		views = append(views, TokenKeyView{ID: k.ID, Created: k.Created, Ends: k.RetireAt, Signs: k.Signs})
	}
	return views, err
}

func (s *Service) rotateTokenKey(ctx context.Context, g access.Grant, _ None) ([]TokenKeyView, error) {
	if err := s.cfg.Tokens.RotateKeys(ctx, g); err != nil {
		return nil, err
	}
	return s.tokenKeys(ctx, g, None{})
}

func (s *Service) revokeTokenKeys(ctx context.Context, g access.Grant, in KeyIDs) ([]TokenKeyView, error) {
	if err := s.cfg.Tokens.RevokeKeys(ctx, g, in.IDs); err != nil {
		return nil, err
	}
	return s.tokenKeys(ctx, g, None{})
}
