package backup

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// Kind is what a backup holds.
type Kind struct {
	subject fault.Subject // "Certificate"; also in the mark
	word    string        // "certificate"; also in the place that it is sealed to
}

// The kinds.
var (
	Certificate = Kind{fault.Certificate, "certificate"}
	Key         = Kind{fault.Key, "key"}
	Secret      = Kind{fault.Secret, "secret"}
)

// Sealer seals and opens the box.
type Sealer interface {
	Seal(ctx context.Context, p seal.Place, plaintext seal.Value) (seal.Box, error)
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}

// Bounds of a backup (contract certificates.md, 8.12; secrets.md, 5.6).
const (
	maxVersions = 500
	// maxBytes is of the value, in characters: what a restore reads, which is at
	// most 16 MiB (contract errors.md, 6.1), less the JSON around the value.
	maxBytes = 16<<20 - 1<<10
)

// mark begins every blob of the kind; the digit is the version of the format.
func (k Kind) mark() []byte { return []byte("Coffer" + string(k.subject) + "BackupV1\n") }

// place binds blobs to the tenant: they open in every vault of it in this
// installation, and nowhere else.
func (k Kind) place(tenant string) seal.Place {
	return seal.Place{Kind: "backup", Name: strings.ToLower(tenant), Column: k.word}
}

// checkCount refuses a name with too many versions, before they are opened.
func (k Kind) checkCount(versions int) error {
	if versions > maxVersions {
		return &fault.Error{Kind: fault.Invalid, Field: "name",
			Msg: fmt.Sprintf("A %s with more than %d versions cannot be backed up.", k.word, maxVersions)}
	}
	return nil
}

// Seal packs doc, as JSON, into a value for the wire: base64url without padding.
// The private parts of doc are clear only inside the box.
func (k Kind) Seal(ctx context.Context, s Sealer, tenant string, doc any) (string, error) {
	plain, err := json.Marshal(doc)
	if err != nil {
		return "", err
	}
	box, err := s.Seal(ctx, k.place(tenant), seal.NewValue(plain))
	clear(plain)
	if err != nil {
		return "", err
	}
	value := base64.RawURLEncoding.EncodeToString(append(k.mark(), box...))
	if len(value) > maxBytes { // a backup that no restore takes would be worse than none
		return "", &fault.Error{Kind: fault.Invalid, Field: "name", Msg: "The " + k.word + " is too large to be backed up."}
	}
	return value, nil
}

// Open reads what Seal made into doc. Every value that does not open is refused
// in the same words: not ours, of another kind or tenant, changed or cut.
func (k Kind) Open(ctx context.Context, s Sealer, tenant, value string, doc any) error {
	corrupt := &fault.Error{Kind: fault.Invalid, Reason: fault.MalformedBackup, Field: "value", Msg: "Backup blob is corrupt."}
	if value == "" {
		return fault.MissingField("value")
	}
	if len(value) > maxBytes {
		return corrupt
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil {
		return &fault.Error{Kind: fault.Invalid, Field: "value", Msg: "Content of 'value' is not base64url.\r\n"}
	}
	box, ok := bytes.CutPrefix(raw, k.mark())
	if !ok {
		return corrupt
	}
	plain, err := s.Open(ctx, k.place(tenant), seal.Box(box))
	if errors.Is(err, seal.ErrBox) {
		return corrupt
	}
	if err != nil {
		return err
	}
	// What opens was sealed by this installation: a failure from here on is ours.
	dec := json.NewDecoder(bytes.NewReader(plain.Reveal()))
	dec.DisallowUnknownFields() // a newer program has put it there; without it the object would be another one
	if err := dec.Decode(doc); err != nil {
		return fmt.Errorf("reading a backup: %w", err)
	}
	return nil
}

// Conflict is the recorded refusal of a restore onto a name in use, live or
// deleted; ver is the current version in the backup.
func (k Kind) Conflict(n object.Name, ver object.Version) error {
	const text = "There was a conflict restoring the {} '@'." +
		" This can happen if either: a second {} with the same name was created after the first {} was deleted;" +
		" thus trying to restore a {} whose name is already in use. To fix this, rename the second {} to something" +
		" else so that the restore works. The second probable cause of this exception is when multiple operations are performed in" +
		" parallel against the {}. To avoid this error, perform operations against a {} in a sequential manner."
	return &fault.Error{Kind: fault.Conflict, Subject: k.subject,
		Msg: strings.NewReplacer("{}", k.word, "@", n.String()+"/"+string(ver)).Replace(text)}
}
