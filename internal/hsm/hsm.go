package hsm

import (
	"coffer/internal/seal"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"time"
)

// Config says which HSM, and how it is used.
type Config struct {
	Module   string                     // path of the maker's PKCS#11 library
	Token    string                     // the token label of the HSM (CK_TOKEN_INFO.label)
	Serial   string                     // its serial number too, where labels repeat; "": any
	PIN      func() (seal.Value, error) // asked at each login, so that a new PIN needs no restart
	Sessions int                        // most operations at one time, up to 1024; 0: 16. The HSM needs one session more
	Now      func() time.Time           // nil: time.Now
	Logger   *slog.Logger               // nil: slog.Default()
}

var (
	// ErrNotBuilt is the answer of a binary that knows nothing of HSMs.
	ErrNotBuilt = errors.New("this binary was built without the hsm tag: build with  go build -tags hsm ./cmd/coffer")
	// ErrNoKey reports an id that the HSM does not have: the key was destroyed
	// behind the vault's back, or it is another HSM.
	ErrNoKey = errors.New("hsm: the HSM has no such key")
	// ErrRefused reports data that the HSM's key does not decrypt or unwrap.
	// Which check it failed is not told.
	ErrRefused = errors.New("hsm: the HSM's key does not decrypt this")
)

// ID is the CKA_ID of a key in the HSM, chosen by the vault. A private key and
// all that belongs to it have the same.
type ID [16]byte

// NewID is a fresh random id.
func NewID() ID {
	var id ID
	rand.Read(id[:])
	return id
}

// IsZero reports whether id names no key.
func (id ID) IsZero() bool { return id == ID{} }

const idURI = "pkcs11:id="

// String is the id as a PKCS#11 URI (RFC 7512, section 2.3), each byte percent
// encoded.
func (id ID) String() string {
	var b strings.Builder
	b.WriteString(idURI)
	for _, c := range id {
		b.WriteByte('%')
		b.WriteString(hex.EncodeToString([]byte{c}))
	}
	return b.String()
}

var errID = errors.New("hsm: not the id of a key in an HSM")

// ParseID reads what String gives, and no other spelling.
func ParseID(s string) (ID, error) {
	text, ok := strings.CutPrefix(s, idURI)
	if !ok || len(text) != 3*len(ID{}) {
		return ID{}, errID
	}
	var id ID
	for i := range id {
		if text[3*i] != '%' {
			return ID{}, errID
		}
		if _, err := hex.Decode(id[i:i+1], []byte(text[3*i+1:3*i+3])); err != nil {
			return ID{}, errID
		}
	}
	if id.String() != s { // capital digits
		return ID{}, errID
	}
	return id, nil
}
