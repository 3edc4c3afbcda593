package store

import (
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"coffer/internal/object"
)

// How values stand in columns, alike in both databases. Times are whole seconds
// since 1970, in UTC, and NULL when not set; those of jobs and orders are milliseconds. What has
// parts, and free text of callers, is JSON: PostgreSQL takes no NUL in text, and
// JSON escapes it. nil is null there, and an empty list stays an empty list.

func second(t time.Time) int64 { return t.Unix() }

func secondOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.Unix()
}

// zeroIsNull stores the zero time as NULL.
func zeroIsNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

func fromSecond(n int64) time.Time { return time.Unix(n, 0).UTC() }

func fromNullSecond(n sql.NullInt64) *time.Time {
	if !n.Valid {
		return nil
	}
	t := fromSecond(n.Int64)
	return &t
}

func fromZeroSecond(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return fromSecond(n.Int64)
}

// What has parts is stored in a shape of its own, never as a struct of a domain: a
// field that a domain renames cannot change what databases hold. The member names of
// a shape are the format: none is ever renamed or used for something else, and a new
// one is right at its zero value for what was stored without it.

// milliOrNull stores the zero time as NULL, as fromNullMilli reads it.
func milliOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func fromNullMilli(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}

// toJSON encodes what is known to encode: shapes, maps, lists and strings.
func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("store: encoding: %w", err)
	}
	return string(b), nil
}

// fromJSON decodes what toJSON made. A member that the shape does not have is an
// error: a newer program has stored it, and this one would lose it with the next
// write, be it what shuts a vault.
func fromJSON(s string, v any) error {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("decoding: more than one value")
	}
	return nil
}

// convertList converts each item; nil stays nil.
func convertList[A, B any](list []A, convert func(A) B) []B {
	if list == nil {
		return nil
	}
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = convert(a)
	}
	return out
}

// tags stand as NULL when none were ever given.
func tagsColumn(t object.Tags) (any, error) {
	if t == nil {
		return nil, nil
	}
	return toJSON(t)
}

func fromTags(s sql.NullString) (t object.Tags, err error) {
	if s.Valid {
		err = fromJSON(s.String, &t)
	}
	return t, err
}

// blob stores nil as NULL, whatever its type.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// packList joins a list of byte strings: the number of them, then each with its
// length in front, as uvarints. nil stays nil.
func packList(list [][]byte) []byte {
	if list == nil {
		return nil
	}
	out := binary.AppendUvarint(nil, uint64(len(list)))
	for _, b := range list {
		out = binary.AppendUvarint(out, uint64(len(b)))
		out = append(out, b...)
	}
	return out
}

var errList = errors.New("malformed list")

// unpackList is the reverse of packList. It allocates no more than b holds.
func unpackList(b []byte) ([][]byte, error) {
	if b == nil {
		return nil, nil
	}
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) { // each item takes a byte at least
		return nil, errList
	}
	b = b[size:]
	list := make([][]byte, 0, n)
	for range n {
		length, size := binary.Uvarint(b)
		if size <= 0 || length > uint64(len(b)-size) {
			return nil, errList
		}
		end := size + int(length)
		list = append(list, b[size:end:end])
		b = b[end:]
	}
	if len(b) != 0 {
		return nil, errList
	}
	return list, nil
}
