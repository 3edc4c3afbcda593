package seal

import "context"

// SealUnder seals with the key of another scope than the place's, as earlier versions did.
func (s *Sealer) SealUnder(ctx context.Context, scope string, p Place, plaintext Value) (Box, error) {
	id, aead, err := s.sealing(ctx, scope)
	if err != nil {
		return nil, err
	}
	return sealBox(aead, id, p, plaintext.Reveal()), nil
}
