package keyvault

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// Bounds of a body, beside its size (contract errors.md, 6). The members are
// those of all objects and arrays together: a policy has some hundred at most.
const (
	maxDepth   = 32
	maxMembers = 10_000
	maxReports = 20 // lines of one refusal
)

// readBody reads at most limit bytes. A body that is absent is nil.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge()
	}
	if r.ContentLength == 0 {
		return nil, nil
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(r.ContentLength, 0), maxPooled)) + bytes.MinRead)
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	b := buf.Bytes()
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge()
	}
	if err != nil { // it broke off
		return nil, fault.InvalidField("", "")
	}
	if len(b) > 0 && !isJSON(r.Header.Get("Content-Type")) {
		return nil, badMediaType()
	}
	return b, nil
}

func tooLarge() error {
	return &fault.Error{Kind: fault.TooLarge, Msg: "The request body is too large."}
}

func isJSON(contentType string) bool {
	if contentType == "" || strings.EqualFold(contentType, "application/json") {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// input is one JSON object of a body. Its methods read members by name: a
// member that is absent or null gives nil, one of the wrong type is reported,
// and so is everything else that is wrong, for all is told at once (contract
// errors.md, 3). Of two members with one name the last counts.
type input struct {
	path    string // of this object, with a dot at its end; "" for the body
	members map[string]json.RawMessage
	report  *report
}

// report collects what is wrong with a body.
type report struct {
	first fault.Error
	lines []string
}

// parseBody reads a body that must be an object. Its shape is bounded before
// anything is decoded.
func parseBody(b []byte) (*input, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if err := checkShape(b); err != nil {
		return nil, err
	}
	o := &input{report: &report{}}
	if !utf8.Valid(b) || !o.fill(b) {
		return nil, fault.InvalidField("", "")
	}
	return o, nil
}

// checkShape walks over the bytes without decoding them. What is not JSON may
// pass; it fails later.
func checkShape(b []byte) error {
	depth, members, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fault.InvalidField("", "The body nests deeper than "+strconv.Itoa(maxDepth)+" levels.")
			}
			members++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			members++
		}
		if members > maxMembers {
			return fault.InvalidField("", "The body has more than "+strconv.Itoa(maxMembers)+" members.")
		}
	}
	return nil
}

// fill reads the members of raw; false when it is not an object.
func (o *input) fill(raw []byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &o.members) == nil
}

// check answers all reports in one refusal, a line each.
func (o *input) check() error {
	r := o.report
	if len(r.lines) == 0 {
		return nil
	}
	e := r.first
	e.Msg = strings.Join(r.lines, "")
	return &e
}

func (o *input) fail(e *fault.Error) {
	r := o.report
	if len(r.lines) == 0 {
		r.first = *e
	}
	if len(r.lines) < maxReports {
		r.lines = append(r.lines, e.Msg)
	}
}

func (o *input) invalid(name string)  { o.fail(fault.InvalidField(o.path+name, "")) }
func (o *input) required(name string) { o.fail(fault.MissingField(o.path + name)) }

// raw is a member's text; nil when it is absent or null.
func (o *input) raw(name string) json.RawMessage {
	if raw := o.members[name]; string(raw) != "null" {
		return raw
	}
	return nil
}

// text refuses NUL, which no database keeps.
func (o *input) text(name string) *string { return o.string(name, plainText) }

// anyText takes NUL too: what it reads is stored sealed.
func (o *input) anyText(name string) *string { return o.string(name, quotedText) }

func (o *input) string(name string, read func(json.RawMessage) (string, bool)) *string {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	s, ok := read(raw)
	if !ok {
		o.invalid(name)
		return nil
	}
	return &s
}

func plainText(raw json.RawMessage) (s string, ok bool) {
	s, ok = quotedText(raw)
	return s, ok && strings.IndexByte(s, 0) < 0
}

func quotedText(raw json.RawMessage) (s string, ok bool) {
	if raw[0] == '"' && isPlain(raw) {
		return string(raw[1 : len(raw)-1]), true
	}
	ok = raw[0] == '"' && json.Unmarshal(raw, &s) == nil
	// The decoder turns half a surrogate pair into U+FFFD, and so the text into
	// another one.
	return s, ok && strings.Count(s, "\uFFFD") == bytes.Count(raw, []byte("\uFFFD"))+escapedReplacements(raw)
}

// isPlain tells whether what is quoted stands for itself.
func isPlain(raw []byte) bool {
	for _, c := range raw {
		if c > '~' || c == '\\' { // what is below a blank is no JSON
			return false
		}
	}
	return true
}

// escapedReplacements counts how often U+FFFD is written as an escape.
func escapedReplacements(raw []byte) int {
	if bytes.IndexByte(raw, '\\') < 0 {
		return 0
	}
	n := 0
	for i := 0; i+5 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if raw[i+1] == 'u' && bytes.EqualFold(raw[i+2:i+6], []byte("fffd")) {
			n++
		}
		i++ // the character after a backslash begins no escape
	}
	return n
}

func (o *input) integer(name string) *int {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil {
		o.invalid(name)
		return nil
	}
	v := int(n)
	return &v
}

// maxInstant is the end of the year 9999, beyond which clients have no dates.
const maxInstant = 253_402_300_799

// instant reads a time in whole seconds since 1970.
func (o *input) instant(name string) *time.Time {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 || n > maxInstant {
		o.invalid(name)
		return nil
	}
	t := time.Unix(n, 0).UTC()
	return &t
}

func (o *input) boolean(name string) *bool {
	switch raw := o.raw(name); string(raw) {
	case "":
		return nil
	case "true", "false":
		v := raw[0] == 't'
		return &v
	}
	o.invalid(name)
	return nil
}

// is reads a boolean whose absence means false.
func (o *input) is(name string) bool {
	v := o.boolean(name)
	return v != nil && *v
}

// list splits an array; nil when it is absent, empty when it is empty.
func (o *input) list(name string) []json.RawMessage {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	items := []json.RawMessage{}
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		o.invalid(name)
		return nil
	}
	return items
}

func element(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

// texts reads an array of strings; nil when it is absent.
func (o *input) texts(name string) []string {
	items := o.list(name)
	if items == nil {
		return nil
	}
	out := make([]string, len(items))
	for i, item := range items {
		var ok bool
		if out[i], ok = plainText(item); !ok {
			o.invalid(element(name, i))
		}
	}
	return out
}

// object reads a member that is an object; nil when it is absent.
func (o *input) object(name string) *input {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	in := &input{path: o.path + name + ".", report: o.report}
	if !in.fill(raw) {
		o.invalid(name)
		return nil
	}
	return in
}

// objectSince is object for a member that older versions do not know and ignore.
func (o *input) objectSince(c *call, name string, f feature) *input {
	if !c.version.has(f) {
		return nil
	}
	return o.object(name)
}

// objects reads an array of objects; nil when it is absent.
func (o *input) objects(name string) []*input {
	items := o.list(name)
	if items == nil {
		return nil
	}
	out := []*input{}
	for i, item := range items {
		in := &input{path: o.path + element(name, i) + ".", report: o.report}
		if !in.fill(item) {
			o.invalid(element(name, i))
			continue
		}
		out = append(out, in)
	}
	return out
}

// tags reads an object of strings; nil when it is absent. Its member names are
// the caller's, so reports name the whole only.
func (o *input) tags(name string) object.Tags {
	in := o.object(name)
	if in == nil {
		return nil
	}
	t := make(object.Tags, len(in.members))
	for k, raw := range in.members {
		v, ok := plainText(raw)
		if !ok || strings.IndexByte(k, 0) >= 0 {
			o.invalid(name)
			return nil
		}
		t[k] = v
	}
	return t
}
