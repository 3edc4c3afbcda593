package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"coffer/internal/object"
)

// Place is where a box belongs. Two boxes in different places never open for
// one another; an empty field is as much a part of the place as a full one.
type Place struct {
	Kind    string         // "certificate", "key", "secret", "issuer", "operation", "backup", "signing-key"
	Vault   object.VaultID // "" for what belongs to the installation
	Name    string         // canonical name
	Version string
	Column  string
}

// Box is a sealed value: the only form in which a private column is stored.
//
//	format (1 byte, 0x01) | data key id (8 bytes) | nonce (12 bytes) | ciphertext and tag
type Box []byte

const (
	boxFormat  = 1
	keyIDBytes = 8
	nonceBytes = 12
	boxHeader  = 1 + keyIDBytes
)

// ErrBox reports a box that does not open: another place, another key, or
// changed bytes. Which of them is not told.
var ErrBox = errors.New("seal: the box does not open here")

// additional is the associated data of a box: its header and its place, each
// field with its length in front so that no two places spell alike.
func additional(header []byte, p Place) []byte {
	ad := append([]byte("coffer box"), header...)
	for _, f := range []string{p.Kind, string(p.Vault), p.Name, p.Version, p.Column} {
		ad = binary.BigEndian.AppendUint32(ad, uint32(len(f)))
		ad = append(ad, f...)
	}
	return ad
}

// newAEAD makes the cipher of one data key: AES-256-GCM whose random nonce is
// put in front of the ciphertext. At 2^32 boxes a key must be replaced
// (NIST SP 800-38D, 8.3), far beyond what one vault holds.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func sealBox(aead cipher.AEAD, keyID [keyIDBytes]byte, p Place, plaintext []byte) Box {
	box := make([]byte, boxHeader, boxHeader+nonceBytes+len(plaintext)+16)
	box[0] = boxFormat
	copy(box[1:], keyID[:])
	return aead.Seal(box, nil, plaintext, additional(box[:boxHeader], p))
}

func openBox(aead cipher.AEAD, p Place, b Box) ([]byte, error) {
	plain, err := aead.Open(nil, nil, b[boxHeader:], additional(b[:boxHeader], p))
	if err != nil {
		return nil, ErrBox
	}
	return plain, nil
}

// keyID reads which data key sealed the box.
func (b Box) keyID() (id [keyIDBytes]byte, err error) {
	if len(b) < boxHeader+nonceBytes+16 || b[0] != boxFormat {
		return id, ErrBox
	}
	copy(id[:], b[1:])
	return id, nil
}

// Value holds a secret. Printing, logging or encoding one shows nothing. A
// closure hides the bytes because fmt calls no methods on unexported fields, and
// would print a slice inside them.
type Value struct{ reveal func() []byte }

// NewValue wraps b, which the caller gives away.
func NewValue(b []byte) Value { return Value{func() []byte { return b }} }

var errNotWire = errors.New("seal: a secret value cannot be encoded")

// Format prints a placeholder for every verb.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// LogValue shows a placeholder.
func (Value) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalJSON refuses.
func (Value) MarshalJSON() ([]byte, error) { return nil, errNotWire }

var (
	_ fmt.Formatter  = Value{}
	_ json.Marshaler = Value{}
)

// Reveal gives the bytes; they must not be changed. Its call sites are the list
// to review.
func (v Value) Reveal() []byte {
	if v.reveal == nil {
		return nil
	}
	return v.reveal()
}
