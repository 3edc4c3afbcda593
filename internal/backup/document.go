package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/object"
)

// Document is what a blob holds of one name: P beside the versions, and V of each.
// The member names of all three are the format: none is ever renamed or used for
// something else, and a new one is right at its zero value for older blobs. A
// member that the reader does not know is an error.
type Document[P, V any] struct {
	Name     string `json:"Name"`
	Policy   *P     `json:"Policy,omitempty"` // nil: none was set
	Versions []V    `json:"Versions"`         // in order of creation; the last one is current
}

// Attributes are object.Attributes as a Document holds them.
type Attributes struct {
	Enabled   bool       `json:"Enabled"`
	NotBefore *time.Time `json:"NotBefore"`
	Expires   *time.Time `json:"Expires"`
	Created   time.Time  `json:"Created"`
	Updated   time.Time  `json:"Updated"`
}

// Pack makes what a blob holds of each version, of at most maxVersions.
func Pack[W, V any](k Kind, versions []W, pack func(W) (V, error)) ([]V, error) {
	if err := k.checkCount(len(versions)); err != nil {
		return nil, err
	}
	out := make([]V, 0, len(versions))
	for _, w := range versions {
		v, err := pack(w)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Backup is a blob that has been opened and found whole: only Read makes one.
type Backup[P, V any] struct {
	doc  Document[P, V]
	name object.Name
}

// Name is the name that the blob holds.
func (b *Backup[P, V]) Name() object.Name { return b.name }

// Read opens the value of a restore, as Kind.Open does.
func Read[P, V any](ctx context.Context, k Kind, s Sealer, tenant, value string) (*Backup[P, V], error) {
	b := &Backup[P, V]{}
	if err := k.Open(ctx, s, tenant, value, &b.doc); err != nil {
		return nil, err
	}
	var err error
	if b.name, err = object.ParseName(b.doc.Name); err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	if len(b.doc.Versions) == 0 {
		return nil, errors.New("reading a backup: it has no versions")
	}
	return b, nil
}

// Unpacked is what a restore stores.
type Unpacked[P, W any] struct {
	Policy   *P  // nil: the blob has none
	Versions []W // at least one, the last one current
}

// Unpack makes what is to be stored of each version in the blob. granted is the name
// that may be restored: the blob's.
func Unpack[P, V, W any](b *Backup[P, V], granted object.Name, unpack func(*V) (W, error)) (u Unpacked[P, W], err error) {
	if granted.Key() != b.name.Key() {
		return u, fmt.Errorf("backup: a grant for %s cannot restore %s", granted, b.name)
	}
	u.Policy, u.Versions = b.doc.Policy, make([]W, 0, len(b.doc.Versions))
	for i := range b.doc.Versions {
		w, err := unpack(&b.doc.Versions[i])
		if err != nil {
			return u, fmt.Errorf("reading a backup: %w", err)
		}
		u.Versions = append(u.Versions, w)
	}
	return u, nil
}
