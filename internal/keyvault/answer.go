package keyvault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"coffer/internal/audit"
	"coffer/internal/vault"
)

// answer is an encoded reply, complete before its first byte is written.
type answer struct {
	status     int
	body       *bytes.Buffer // nil for an answer without a body
	location   string
	retryAfter int
	secret     bool
	failure    *failure // nil: success
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the largest buffer that is kept for the next request, in bytes.
const maxPooled = 64 << 10

func encode(r reply) (*answer, error) {
	a := &answer{status: r.status, location: r.location, retryAfter: r.retryAfter, secret: r.secret}
	if r.body == nil && r.text == nil {
		return a, nil
	}
	buf := buffers.Get().(*bytes.Buffer)
	if r.text != nil {
		buf.Write(r.text)
		a.body = buf
		return a, nil
	}
	if r.value != nil {
		buf.Grow(len(r.value) + roomBeside)
		writeValue(buf, r.value)
	}
	start := buf.Len()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false) // nextLink has ampersands
	if err := enc.Encode(r.body); err != nil {
		buf.Reset()
		buffers.Put(buf)
		return nil, err
	}
	buf.Truncate(buf.Len() - 1) // the encoder ends with a line feed
	if r.value != nil {
		buf.Bytes()[start] = ',' // the object goes on
	}
	a.body = buf
	return a, nil
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
		n := 0
		for n < len(rest) && rest[n] >= ' ' && rest[n] <= '~' && rest[n] != '"' && rest[n] != '\\' {
			n++
		}
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

func refuse(f *failure) *answer {
	a, err := encode(reply{status: f.status, body: f.body(), retryAfter: f.retryAfter})
	if err != nil {
		panic(err) // strings always encode
	}
	a.failure = f
	return a
}

// release gives the buffer back; the answer must not be used afterwards.
func (a *answer) release() {
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

func (a *answer) outcome() audit.Outcome {
	o := audit.Outcome{Status: a.status}
	if f := a.failure; f != nil {
		o.ErrorCode, o.InnerErrorCode, o.Message = f.code, f.inner, f.message
	}
	return o
}

// Header values that all answers share; net/http only reads them. The names are
// in the canonical form that http.Header needs (contract errors.md, 2).
var (
	jsonType   = []string{"application/json; charset=utf-8"}
	noCache    = []string{"no-cache"}
	longAgo    = []string{"-1"}
	strictTLS  = []string{"max-age=31536000;includeSubDomains"}
	noSniffing = []string{"nosniff"}
)

func (s *Server) write(c *call, a *answer) {
	h := c.w.Header()
	h["Cache-Control"] = noCache
	h["Pragma"] = noCache
	h["Expires"] = longAgo
	h["Strict-Transport-Security"] = strictTLS
	h["X-Content-Type-Options"] = noSniffing
	h["X-Ms-Keyvault-Service-Version"] = s.serviceVersion
	region := vault.DefaultLocation
	if c.vault != nil {
		region = c.vault.Location
	}
	// One allocation for all values that are this request's own.
	own := [...]string{region, networkInfo(c.client, c.clientIP), c.attempt.ID(), clientRequestID(c.r.Header)}
	h["X-Ms-Keyvault-Region"] = own[0:1:1]
	h["X-Ms-Keyvault-Network-Info"] = own[1:2:2]
	h["X-Ms-Request-Id"] = own[2:3:3]
	if own[3] != "" {
		h["X-Ms-Client-Request-Id"] = own[3:4:4]
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	if f := a.failure; f != nil {
		if f.challenge != "" {
			h.Set("WWW-Authenticate", f.challenge)
		}
		if f.allow != "" {
			h.Set("Allow", f.allow)
		}
	}
	if a.body == nil {
		c.w.WriteHeader(a.status)
		return
	}
	h["Content-Type"] = jsonType
	h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	c.w.WriteHeader(a.status)
	_, _ = c.w.Write(a.body.Bytes()) // who does not listen any more need not be told
}

// networkInfo tells the caller its address as the server saw it; support tools
// read it.
func networkInfo(a netip.Addr, text string) string {
	if a.Is6() {
		return "conn_type=Ipv6;addr=" + text + ";act_addr_fam=InterNetworkV6;"
	}
	return "conn_type=Ipv4;addr=" + text + ";act_addr_fam=InterNetwork;"
}

// maxClientID bounds the echo of x-ms-client-request-id, in characters.
const maxClientID = 128

// clientRequestID is the caller's own id of the request, printable and bounded.
func clientRequestID(h http.Header) string {
	v := h["X-Ms-Client-Request-Id"]
	if len(v) == 0 {
		return ""
	}
	id := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, v[0])
	return id[:min(len(id), maxClientID)]
}

// left tells whether a request failed because its client has gone away, which is
// nothing that an operator must look at.
func left(c *call, a *answer) bool {
	return a.failure != nil && errors.Is(a.failure.internal, context.Canceled) && c.r.Context().Err() != nil
}

// log writes the one event of a request: never a query but its api-version,
// never a body.
func (s *Server) log(c *call, a *answer, took time.Duration) {
	level := slog.LevelInfo
	if a.status >= http.StatusInternalServerError && !left(c, a) {
		level = slog.LevelError
	}
	if !s.cfg.Logger.Enabled(c.ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("method", excerpt(c.verb)),
		slog.Int("status", a.status),
		slog.Duration("duration", took),
		slog.String("request_id", c.attempt.ID()))
	if c.route != nil {
		attrs = append(attrs, slog.String("route", c.route.pattern))
	}
	if c.vault != nil {
		attrs = append(attrs, slog.String("vault", c.vault.Name), slog.String("api_version", excerpt(c.query.apiVersion)))
	}
	if c.caller.ObjectID != "" {
		attrs = append(attrs, slog.String("caller", c.caller.ObjectID))
	}
	if f := a.failure; f != nil {
		attrs = append(attrs, slog.String("code", f.code))
		if f.internal != nil {
			attrs = append(attrs, slog.Any("error", f.internal))
		}
	}
	s.cfg.Logger.LogAttrs(c.ctx, level, "request", attrs...)
}
