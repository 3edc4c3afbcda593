package key

import (
	"time"

	"coffer/internal/seal"
)

// Opened is how many private keys are open.
func Opened(s *Service) int { return (&OpenedKeys{s.opened}).Len() }

// OpenedKeys are the keys in memory, by themselves.
type OpenedKeys struct{ o *opened }

// NewOpened keeps keys for a time.
func NewOpened(keep time.Duration) *OpenedKeys { return &OpenedKeys{newOpened(keep)} }

// Put keeps a key of a name.
func (k *OpenedKeys) Put(name string, box []byte) {
	k.o.put(seal.Place{Name: name}, box, &Private{})
}

// Has tells whether the key of a name is open for a box.
func (k *OpenedKeys) Has(name string, box []byte) bool {
	return k.o.get(seal.Place{Name: name}, box) != nil
}

// Len is how many there are.
func (k *OpenedKeys) Len() int {
	return k.o.keys.Drop(func(openKey) bool { return false })
}
