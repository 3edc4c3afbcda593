package rest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Reply is what an operation answers.
type Reply struct {
	Status     int
	Body       any    // encoded as JSON; nil: an answer without a body
	Text       []byte // a body that is encoded already; it is not changed
	Value      []byte // UTF-8, of a member "value" before those of Body, an object; nil: none
	Location   string
	RetryAfter int  // seconds; 0 for none
	Secret     bool // the body is wiped from memory after it was written
}

// OK is a Reply with status 200.
func OK(body any) Reply { return Reply{Status: http.StatusOK, Body: body} }

// Answer is an encoded reply, complete before its first byte is written.
type Answer struct {
	Failure *Failure // nil: success

	status     int
	body       *bytes.Buffer // nil for an answer without a body
	location   string
	retryAfter int
	secret     bool
}

// Status is that of HTTP.
func (a *Answer) Status() int { return a.status }

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the largest buffer that is kept for the next request, in bytes.
const maxPooled = 64 << 10

// Encode makes the answer of a reply, which the caller releases.
func Encode(r Reply) (*Answer, error) {
	a := &Answer{status: r.Status, location: r.Location, retryAfter: r.RetryAfter, secret: r.Secret}
	if r.Body == nil && r.Text == nil {
		return a, nil
	}
	buf := buffers.Get().(*bytes.Buffer)
	if r.Text != nil {
		buf.Write(r.Text)
		a.body = buf
		return a, nil
	}
	if r.Value != nil {
		buf.Grow(len(r.Value) + roomBeside)
		writeValue(buf, r.Value)
	}
	start := buf.Len()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false) // nextLink has ampersands
	if err := enc.Encode(r.Body); err != nil {
		buf.Reset()
		buffers.Put(buf)
		return nil, err
	}
	buf.Truncate(buf.Len() - 1) // the encoder ends with a line feed
	if r.Value != nil {
		buf.Bytes()[start] = ',' // the object goes on
	}
	a.body = buf
	return a, nil
}

// Text is the body of a reply as Reply.Text has it.
func Text(r Reply) ([]byte, error) {
	a, err := Encode(r)
	if err != nil {
		return nil, err
	}
	defer a.Release()
	return bytes.Clone(a.body.Bytes()), nil
}

// roomBeside is what an answer usually has beside a value, in bytes, so that the
// buffer does not move and leave a copy of the value behind.
const roomBeside = 4 << 10

// writeValue begins an object with the member "value". It does so itself because
// encoding/json keeps what passes through it in buffers that nobody wipes.
func writeValue(buf *bytes.Buffer, value []byte) {
	buf.WriteString(`{"value":"`)
	rest := value
	for len(rest) > 0 {
		n := plain(rest)
		buf.Write(rest[:n])
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
		r, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		short := strings.IndexRune("\"\\\b\f\n\r\t", r)
		switch {
		case short >= 0:
			buf.Write([]byte{'\\', `"\bfnrt`[short]})
		case r < ' ' || r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029': // the latter two end lines in JavaScript
			fmt.Fprintf(buf, `\u%04x`, r)
		default:
			buf.WriteRune(r)
		}
	}
	buf.WriteByte('"')
}

// plain counts the leading bytes of b that stand for themselves in JSON, of ASCII.
// Values are base64 mostly: eight bytes are looked at in one step.
func plain(b []byte) (n int) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; n+8 <= len(b); n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		quote, slash := w^ones*'"', w^ones*'\\'
		// The top bit of a byte is set where it is below ' ', equal to '"' or to '\\', above
		// '~' or not ASCII. A borrow may mark a byte after such a one, never one alone.
		if (w-ones*' '|quote-ones|slash-ones|w+ones|w)&tops != 0 {
			break
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] <= '~' && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// Refuse makes the answer of a failure; body is the door's shape of it.
func Refuse(f *Failure, body any) *Answer {
	a, err := Encode(Reply{Status: f.Status, Body: body, RetryAfter: f.RetryAfter})
	if err != nil {
		panic(err) // strings always encode
	}
	a.Failure = f
	return a
}

// Release gives the buffer back; the answer must not be used afterwards.
func (a *Answer) Release() {
	if a.body == nil {
		return
	}
	if a.secret {
		clear(a.body.Bytes())
	}
	if a.body.Cap() <= maxPooled {
		a.body.Reset()
		buffers.Put(a.body)
	}
	a.body = nil
}

// Header values that all answers share; net/http only reads them.
var jsonType = []string{"application/json; charset=utf-8"}

// Write sends the answer, with the header fields that belong to it.
func (a *Answer) Write(w http.ResponseWriter) {
	h := w.Header()
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	if f := a.Failure; f != nil {
		if f.Challenge != "" {
			h.Set("WWW-Authenticate", f.Challenge)
		}
		if f.Allow != "" {
			h.Set("Allow", f.Allow)
		}
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	h["Content-Type"] = jsonType
	h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // who does not listen any more need not be told
}
