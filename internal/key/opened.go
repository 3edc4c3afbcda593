package key

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"coffer/internal/fresh"
	"coffer/internal/seal"
)

// opened keeps private keys that were used lately in memory, unsealed and parsed,
// so that a signature costs no more than signing. The box that a key came from is
// kept with it and compared with that of the version in hand: a version that was
// replaced, or whose name was purged and used again, never gets another's key. A
// key leaves memory when its time is over, used or not.
type opened struct {
	keep time.Duration // 0: nothing is kept

	keys *fresh.Map[seal.Place, openKey]

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; runs while there are keys
}

func newOpened(keep time.Duration) *opened {
	return &opened{keep: keep, keys: fresh.NewMap[seal.Place, openKey](maxOpened, nil)}
}

type openKey struct {
	box     seal.Box
	private *Private
	until   time.Time
}

// maxOpened bounds the keys kept: some 5 KB each of RSA-4096.
const maxOpened = 256

// private is the private or secret key of a version, from memory or from its box.
func (s *Service) private(ctx context.Context, v *Version) (*Private, error) {
	place := PrivatePlace(v.Vault, v.Name, v.Version)
	if k := s.opened.get(place, v.Private); k != nil {
		return k, nil
	}
	k, err := s.custody.Open(ctx, place, v.Private, v.HSM, v.Public)
	if err != nil {
		return nil, fmt.Errorf("opening key %s/%s: %w", v.Name, v.Version, err)
	}
	k.forget()
	s.opened.put(place, v.Private, k)
	return k, nil
}

func (o *opened) get(p seal.Place, box seal.Box) *Private {
	k, ok := o.keys.Get(p)
	if !ok || !bytes.Equal(k.box, box) || !time.Now().Before(k.until) {
		return nil
	}
	return k.private
}

func (o *opened) put(p seal.Place, box seal.Box, k *Private) {
	if o.keep == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys.Put(p, openKey{box, k, time.Now().Add(o.keep)})
	if o.timer == nil {
		o.timer = time.AfterFunc(o.keep, o.sweep)
	}
}

// sweep drops what is over and comes again while there is something left: a key
// stays at most twice its time.
func (o *opened) sweep() {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.keys.Drop(func(k openKey) bool { return !now.Before(k.until) }) == 0 {
		o.timer = nil
		return
	}
	o.timer.Reset(o.keep)
}
