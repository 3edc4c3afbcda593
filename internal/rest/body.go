package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"coffer/internal/fault"
)

// ReadBody reads a JSON body of at most limit bytes; one that is absent is nil. room
// is asked before bytes are read, and its error is answered: for all of a body whose
// length is announced, for the next piece of any other.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64, room func(n int64) error) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, TooLarge()
	}
	if r.ContentLength == 0 {
		return nil, nil
	}
	body := io.Reader(http.MaxBytesReader(w, r.Body, limit))
	if r.ContentLength < 0 {
		body = &metered{r: body, room: room}
	} else if err := room(r.ContentLength); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(r.ContentLength, 0), maxPooled)) + bytes.MinRead)
	_, err := buf.ReadFrom(body)
	b := buf.Bytes()
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, TooLarge()
	}
	if refused, ok := errors.AsType[*fault.Error](err); ok {
		return nil, refused
	}
	if err != nil { // it broke off
		return nil, fault.InvalidField("", "")
	}
	if len(b) > 0 && !isJSON(r.Header.Get("Content-Type")) {
		return nil, badMediaType()
	}
	return b, nil
}

// metered asks for room before it reads on.
type metered struct {
	r    io.Reader
	room func(n int64) error
	left int
}

// pieceSize is how much room is asked for at a time, in bytes.
const pieceSize = 64 << 10

func (m *metered) Read(p []byte) (int, error) {
	if m.left == 0 {
		if err := m.room(pieceSize); err != nil {
			return 0, err
		}
		m.left = pieceSize
	}
	n, err := m.r.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}

// TooLarge is the failure of a body beyond its limit.
func TooLarge() error {
	return &fault.Error{Kind: fault.TooLarge, Msg: "The request body is too large."}
}

func isJSON(contentType string) bool {
	if contentType == "" || strings.EqualFold(contentType, "application/json") {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}
