package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
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

// Input is one JSON object of a body. Its methods read members by name: a
// member that is absent or null gives nil, one of the wrong type is reported,
// and so is everything else that is wrong, for all is told at once (contract
// errors.md, 3). Of two members with one name the last counts. An object that is
// absent is a nil *Input, which has no members and requires none.
type Input struct {
	path    string // of this object, with a dot at its end; "" for the body
	members map[string]json.RawMessage
	report  *report
}

// report collects what is wrong with a body.
type report struct {
	first fault.Error
	lines []string
}

// ParseInput reads a body that must be an object. Its shape is bounded before
// anything is decoded.
func ParseInput(b []byte) (*Input, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if err := checkShape(b); err != nil {
		return nil, err
	}
	o := &Input{report: &report{}}
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
func (o *Input) fill(raw []byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &o.members) == nil
}

// Check answers all reports in one refusal, a line each.
func (o *Input) Check() error {
	r := o.report
	if len(r.lines) == 0 {
		return nil
	}
	e := r.first
	e.Msg = strings.Join(r.lines, "")
	return &e
}

// Fail reports what is wrong.
func (o *Input) Fail(e *fault.Error) {
	r := o.report
	if len(r.lines) == 0 {
		r.first = *e
	}
	if len(r.lines) < maxReports {
		r.lines = append(r.lines, e.Msg)
	}
}

// Invalid reports a member with a value that is refused.
func (o *Input) Invalid(name string) { o.Fail(fault.InvalidField(o.path+name, "")) }

// Required reports a member that is absent.
func (o *Input) Required(name string) {
	if o != nil {
		o.Fail(fault.MissingField(o.path + name))
	}
}

// Under names the members of o as those of another place in reports: that is how
// the rules name them.
func (o *Input) Under(path string) *Input {
	return &Input{path: path, members: o.members, report: o.report}
}

// Raw is a member's text; nil when it is absent or null.
func (o *Input) Raw(name string) json.RawMessage {
	if o == nil {
		return nil
	}
	if raw := o.members[name]; string(raw) != "null" {
		return raw
	}
	return nil
}

// Text reads a string; it refuses NUL, which no database keeps.
func (o *Input) Text(name string) *string { return o.string(name, plainText) }

// AnyText is Text that takes NUL too: what it reads is stored sealed.
func (o *Input) AnyText(name string) *string { return o.string(name, quotedText) }

func (o *Input) string(name string, read func(json.RawMessage) (string, bool)) *string {
	raw := o.Raw(name)
	if raw == nil {
		return nil
	}
	s, ok := read(raw)
	if !ok {
		o.Invalid(name)
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

// Integer reads a whole number of 32 bits.
func (o *Input) Integer(name string) *int {
	raw := o.Raw(name)
	if raw == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil {
		o.Invalid(name)
		return nil
	}
	v := int(n)
	return &v
}

// maxInstant is the end of the year 9999, beyond which clients have no dates.
const maxInstant = 253_402_300_799

// Instant reads a time in whole seconds since 1970.
func (o *Input) Instant(name string) *time.Time {
	raw := o.Raw(name)
	if raw == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 || n > maxInstant {
		o.Invalid(name)
		return nil
	}
	t := time.Unix(n, 0).UTC()
	return &t
}

// Boolean reads true or false.
func (o *Input) Boolean(name string) *bool {
	switch raw := o.Raw(name); string(raw) {
	case "":
		return nil
	case "true", "false":
		v := raw[0] == 't'
		return &v
	}
	o.Invalid(name)
	return nil
}

// Is reads a boolean whose absence means false.
func (o *Input) Is(name string) bool {
	v := o.Boolean(name)
	return v != nil && *v
}

// list splits an array; nil when it is absent, empty when it is empty.
func (o *Input) list(name string) []json.RawMessage {
	raw := o.Raw(name)
	if raw == nil {
		return nil
	}
	items := []json.RawMessage{}
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		o.Invalid(name)
		return nil
	}
	return items
}

func element(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

// Texts reads an array of strings; nil when it is absent.
func (o *Input) Texts(name string) []string {
	items := o.list(name)
	if items == nil {
		return nil
	}
	out := make([]string, len(items))
	for i, item := range items {
		var ok bool
		if out[i], ok = plainText(item); !ok {
			o.Invalid(element(name, i))
		}
	}
	return out
}

// Object reads a member that is an object; nil when it is absent.
func (o *Input) Object(name string) *Input {
	raw := o.Raw(name)
	if raw == nil {
		return nil
	}
	in := &Input{path: o.path + name + ".", report: o.report}
	if !in.fill(raw) {
		o.Invalid(name)
		return nil
	}
	return in
}

// Objects reads an array of objects; nil when it is absent.
func (o *Input) Objects(name string) []*Input {
	items := o.list(name)
	if items == nil {
		return nil
	}
	out := []*Input{}
	for i, item := range items {
		in := &Input{path: o.path + element(name, i) + ".", report: o.report}
		if !in.fill(item) {
			o.Invalid(element(name, i))
			continue
		}
		out = append(out, in)
	}
	return out
}

// Tags reads an object of strings; nil when it is absent. Its member names are
// the caller's, so reports name the whole only.
func (o *Input) Tags(name string) object.Tags {
	in := o.Object(name)
	if in == nil {
		return nil
	}
	t := make(object.Tags, len(in.members))
	for k, raw := range in.members {
		v, ok := plainText(raw)
		if !ok || strings.IndexByte(k, 0) >= 0 {
			o.Invalid(name)
			return nil
		}
		t[k] = v
	}
	return t
}

// toURLAlphabet turns base64 into base64url.
var toURLAlphabet = strings.NewReplacer("+", "-", "/", "_")

// Bytes reads a binary member: base64url without padding. Padding and the
// standard alphabet are taken too, for tools that know no other (contract
// keys.md, 2). nil when it is absent, empty when it is empty.
func (o *Input) Bytes(name string) []byte {
	text := o.Text(name)
	if text == nil {
		return nil
	}
	plain := toURLAlphabet.Replace(strings.TrimRight(*text, "="))
	b, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil || strings.ContainsAny(plain, "\r\n") { // which the decoder passes over
		o.Fail(&fault.Error{Kind: fault.Invalid, Field: o.path + name, Msg: "Content of '" + o.path + name + "' is not base64url.\r\n"})
		return []byte{}
	}
	return b
}

// NeedBytes is Bytes for a member that must be there.
func (o *Input) NeedBytes(name string) []byte {
	if o.Raw(name) == nil {
		o.Required(name)
	}
	return o.Bytes(name)
}

// NeedText is Text for a member that must be there.
func (o *Input) NeedText(name string) string {
	if text := o.Text(name); text != nil {
		return *text
	}
	if o.Raw(name) == nil {
		o.Required(name)
	}
	return ""
}

// MustBe reads a text that has one value only.
func (o *Input) MustBe(name, want string) {
	switch got := o.Text(name); {
	case got == nil && o.Raw(name) == nil:
		o.Required(name)
	case got != nil && *got != want:
		o.Invalid(name)
	}
}

// Document reads a member that holds a JSON object of its own, within the bounds
// of a body.
func (o *Input) Document(name string, raw []byte) *Input {
	in := &Input{path: o.path + name + ".", report: o.report}
	if checkShape(raw) != nil || !utf8.Valid(raw) || !json.Valid(raw) || !in.fill(raw) {
		o.Invalid(name)
		return nil
	}
	return in
}
