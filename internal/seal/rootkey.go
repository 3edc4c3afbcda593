package seal

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"coffer/internal/fips"
)

// RootFile is a Keeper whose root keys live in one file of mode 0600: in clear,
// or sealed by a passphrase. It is safe for concurrent use.
//
// A file holds the current root key, and those before it that were kept for backups of
// the database. During a rotation the one before is not kept yet, but in use, so that a
// crash at any line leaves every data key with its root key.
type RootFile struct {
	path string

	mu         sync.Mutex
	passphrase Value       // guarded by mu; an empty one keeps the keys in clear
	keys       []rootKey   // guarded by mu; the first one is current
	seen       os.FileInfo // guarded by mu; the file that keys are from
}

type rootKey struct {
	ID      string    `json:"id"` // 16 hex digits
	Key     []byte    `json:"key"`
	Created time.Time `json:"created"`
	Kept    bool      `json:"kept,omitempty"` // it wraps nothing of the database any more, but of its backups

	aead cipher.AEAD
}

// rootDoc is the file. Exactly one of Keys and Sealed is there.
type rootDoc struct {
	Format int       `json:"format"`
	Note   string    `json:"note,omitempty"`
	Keys   []rootKey `json:"keys,omitempty"`
	Sealed *sealed   `json:"sealed,omitempty"`
}

// sealed is the list of keys under a key that Argon2id (RFC 9106) derives from
// the passphrase.
type sealed struct {
	Salt    []byte `json:"salt"`    // 16 bytes
	Time    uint32 `json:"time"`    // passes
	Memory  uint32 `json:"memory"`  // KiB
	Threads uint8  `json:"threads"` // lanes
	Box     []byte `json:"box"`
}

// Argon2id of new files: the second recommended option of RFC 9106, section 4
// (64 MiB, three passes, four lanes). The bounds are what a file may ask for.
const (
	argonTime      = 3
	argonMemory    = 64 << 10
	argonThreads   = 4
	maxArgonTime   = 16
	maxArgonMemory = 1 << 20
)

const (
	rootFormat   = 1
	rootNote     = "Whoever has this file and the database has every secret of the vault. Keep a copy apart from the database's."
	maxRootBytes = 64 << 10
	maxRootKeys  = 100 // in one file; about 300 bytes each, sealed
)

var rootPlace = Place{Kind: "root", Column: "keys"}

// ErrPassphrase reports a sealed root key file that the passphrase does not open.
var ErrPassphrase = errors.New("seal: the passphrase does not open the root key file")

// CreateRootFile makes a root key and its file; an existing file is an error
// (fs.ErrExist), for it may be the only way to somebody's data. An empty
// passphrase keeps the key in clear; one that is easily guessed is refused.
func CreateRootFile(path string, passphrase Value, now time.Time) (*RootFile, error) {
	if err := checkNewPassphrase(passphrase); err != nil {
		return nil, err
	}
	k, err := newRootKey(now)
	if err != nil {
		return nil, err
	}
	r := &RootFile{path: path}
	// A link fails when the name is there: of two that create at one time, one has
	// made the file and the other knows.
	if err := r.write([]rootKey{k}, passphrase, os.Link); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenRootFile reads the root keys. It refuses a file that others can read.
func OpenRootFile(path string, passphrase Value) (*RootFile, error) {
	r := &RootFile{path: path, passphrase: passphrase}
	if err := r.read(); err != nil {
		return nil, err
	}
	return r, nil
}

func newRootKey(now time.Time) (rootKey, error) {
	var id [8]byte
	rand.Read(id[:])
	k := rootKey{ID: hex.EncodeToString(id[:]), Key: make([]byte, 32), Created: now.UTC().Truncate(time.Second)}
	rand.Read(k.Key)
	var err error
	k.aead, err = newAEAD(k.Key)
	return k, err
}

// read takes the keys from the file. The caller holds mu, or the only reference.
func (r *RootFile) read() error {
	f, err := os.Open(r.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("the root key file %s can be read by others (mode %#o): run chmod 600 %s", r.path, info.Mode().Perm(), r.path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxRootBytes))
	if err != nil {
		return err
	}
	defer clear(raw) // it may be in clear
	var doc rootDoc
	if err := json.Unmarshal(raw, &doc); err != nil || doc.Format != rootFormat {
		return fmt.Errorf("%s is not a root key file of format %d", r.path, rootFormat) // the cause could quote key bytes
	}
	if doc.Sealed != nil {
		if doc.Keys, err = doc.Sealed.open(r.passphrase); err != nil {
			return err
		}
	} else if len(r.passphrase.Reveal()) > 0 {
		return fmt.Errorf("%s is not sealed by a passphrase, but one is configured", r.path)
	}
	if len(doc.Keys) == 0 {
		return fmt.Errorf("%s holds no root key", r.path)
	}
	for i := range doc.Keys {
		k := &doc.Keys[i]
		if len(k.Key) != 32 || len(k.ID) != 16 {
			return fmt.Errorf("%s holds a root key that is not of 32 bytes", r.path)
		}
		if k.aead, err = newAEAD(k.Key); err != nil {
			return err
		}
	}
	r.keys, r.seen = doc.Keys, info
	return nil
}

// write makes the file and only then uses the keys. place gives the complete file
// its name, at once: a crash leaves what was there or the new file, whole. The
// caller holds mu, or the only reference.
func (r *RootFile) write(keys []rootKey, passphrase Value, place func(from, to string) error) error {
	doc := rootDoc{Format: rootFormat, Note: rootNote, Keys: keys}
	if len(passphrase.Reveal()) > 0 {
		s, err := sealKeys(keys, passphrase)
		if err != nil {
			return err
		}
		doc.Keys, doc.Sealed = nil, s
	}
	raw, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	seen, err := writeFile(r.path, append(raw, '\n'), place)
	if err != nil {
		return fmt.Errorf("writing the root key file: %w", err)
	}
	r.keys, r.passphrase, r.seen = keys, passphrase, seen
	return nil
}

// writeFile makes path durably: the content, then the name.
func writeFile(path string, content []byte, place func(from, to string) error) (os.FileInfo, error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".root-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(content); err != nil {
		return nil, errors.Join(err, tmp.Close())
	}
	info, err := tmp.Stat()
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := place(tmp.Name(), path); err != nil {
		return nil, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return info, errors.Join(d.Sync(), d.Close())
}

func passphraseAEAD(passphrase Value, s *sealed) (cipher.AEAD, error) {
	if fips.Enforced() {
		return nil, errors.New(fips.Excludes("the Argon2id of root key files that a passphrase seals") +
			": keep the root key in an HSM (coffer init --root-key-in-hsm), or the file without a passphrase on an encrypted disk")
	}
	key := argon2.IDKey(passphrase.Reveal(), s.Salt, s.Time, s.Memory, s.Threads, 32)
	defer clear(key)
	return newAEAD(key)
}

func sealKeys(keys []rootKey, passphrase Value) (*sealed, error) {
	s := &sealed{Salt: make([]byte, 16), Time: argonTime, Memory: argonMemory, Threads: argonThreads}
	rand.Read(s.Salt)
	aead, err := passphraseAEAD(passphrase, s)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	s.Box = sealBox(aead, [keyIDBytes]byte{}, rootPlace, plain)
	return s, nil
}

func (s *sealed) open(passphrase Value) ([]rootKey, error) {
	if len(passphrase.Reveal()) == 0 {
		return nil, errors.New("the root key file is sealed by a passphrase, and none is given")
	}
	if s.Time < 1 || s.Time > maxArgonTime || s.Memory > maxArgonMemory || s.Threads < 1 || len(s.Salt) < 8 || len(s.Box) < boxHeader {
		return nil, errors.New("the root key file asks for impossible Argon2id parameters")
	}
	aead, err := passphraseAEAD(passphrase, s)
	if err != nil {
		return nil, err
	}
	plain, err := openBox(aead, rootPlace, s.Box)
	if err != nil {
		return nil, ErrPassphrase
	}
	defer clear(plain)
	var keys []rootKey
	if err := json.Unmarshal(plain, &keys); err != nil {
		return nil, errors.New("the root key file is damaged")
	}
	return keys, nil
}

// dataKeyPlace binds a wrapped data key to the scope that it serves.
func dataKeyPlace(scope, keyID string) Place {
	return Place{Kind: "data-key", Name: scope, Version: keyID, Column: "wrapped"}
}

// A keeper that encrypts somewhere else, with AES-256-GCM too, wraps data keys in the
// same form: the header of a box, a nonce, ciphertext and tag.

// WrappedHeader begins a data key that is being wrapped, and gives the associated
// data that binds it to its scope and id.
func WrappedHeader(scope, keyID string) (header, ad []byte) {
	header = make([]byte, boxHeader)
	header[0] = boxFormat
	return header, additional(header, dataKeyPlace(scope, keyID))
}

// WrappedParts takes a wrapped data key apart: nonce, ciphertext with tag, and the
// associated data.
func WrappedParts(d DataKey) (nonce, sealed, ad []byte, err error) {
	if _, err := Box(d.Wrapped).keyID(); err != nil {
		return nil, nil, nil, err
	}
	header, rest := d.Wrapped[:boxHeader], d.Wrapped[boxHeader:]
	return rest[:nonceBytes], rest[nonceBytes:], additional(header, dataKeyPlace(d.Scope, d.ID)), nil
}

// Wrap seals a data key under the current root key.
func (r *RootFile) Wrap(_ context.Context, scope, keyID string, dataKey Value) (string, []byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil {
		return "", nil, err
	}
	k := r.keys[0]
	return k.ID, sealBox(k.aead, [keyIDBytes]byte{}, dataKeyPlace(scope, keyID), dataKey.Reveal()), nil
}

// refresh reads the file again when another process has written it since: the
// current key in memory may have been retired. A file that is gone, on a medium
// that was taken out say, changes nothing. The caller holds mu.
func (r *RootFile) refresh() error {
	info, err := os.Stat(r.path)
	// The times count too: the system gives the numbers of files again.
	if err != nil || os.SameFile(info, r.seen) && info.ModTime().Equal(r.seen.ModTime()) && info.Size() == r.seen.Size() {
		return nil
	}
	return r.read()
}

// Unwrap opens a data key. When another process has rotated the root key, the
// file is read again.
func (r *RootFile) Unwrap(_ context.Context, d DataKey) (Value, error) {
	if len(d.Wrapped) < boxHeader {
		return Value{}, ErrBox
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	aead := r.find(d.RootID)
	if aead == nil {
		if err := r.read(); err != nil {
			return Value{}, err
		}
		if aead = r.find(d.RootID); aead == nil {
			return Value{}, ErrRootKey
		}
	}
	raw, err := openBox(aead, dataKeyPlace(d.Scope, d.ID), d.Wrapped)
	return NewValue(raw), err
}

func (r *RootFile) find(id string) cipher.AEAD {
	for _, k := range r.keys {
		if k.ID == id {
			return k.aead
		}
	}
	return nil
}

// Rotate puts a new root key in front of the old one. Call rewrap, then Keep or Retire.
// A crash in between leaves both in the file; Rotate then goes on with the new
// key that it finds there.
func (r *RootFile) Rotate(_ context.Context, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil || len(r.keys) > 1 && !r.keys[1].Kept {
		return err
	}
	k, err := newRootKey(now)
	if err != nil {
		return err
	}
	return r.write(append([]rootKey{k}, r.keys...), r.passphrase, os.Rename)
}

// Keep ends a rotation: the root keys before the current one open what was backed up in
// their time. The oldest goes when there would be more than maxRootKeys.
func (r *RootFile) Keep(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil {
		return err
	}
	keys := slices.Clone(r.keys[:min(len(r.keys), maxRootKeys)])
	for i := range keys[1:] {
		keys[1+i].Kept = true
	}
	return r.write(keys, r.passphrase, os.Rename)
}

// Retire forgets all root keys but the current one: only after every data key
// has been wrapped anew.
func (r *RootFile) Retire(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil {
		return err
	}
	return r.write(r.keys[:1:1], r.passphrase, os.Rename)
}

// Seal changes the passphrase of the file; an empty one keeps the keys in clear from now
// on, one that is easily guessed is refused.
func (r *RootFile) Seal(passphrase Value) error {
	if err := checkNewPassphrase(passphrase); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil {
		return err
	}
	return r.write(r.keys, passphrase, os.Rename)
}

// Kept is how many root keys before the current one the file has.
func (r *RootFile) Kept() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.keys) - 1
}

// CurrentID names the current root key.
func (r *RootFile) CurrentID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[0].ID
}
