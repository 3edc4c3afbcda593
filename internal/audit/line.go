package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A line is written for every request that is served, so the members that every
// record has are put together by hand: encoding/json takes four times as long.
// What the rarer members look like is left to it.

// append adds the record to b as the JSON that encoding/json makes of it, without
// HTML escapes, with those of escapeHidden, and without a line feed.
func (r *record) append(b []byte) ([]byte, error) {
	w := writer{b: b}
	w.open(`{`)
	w.text("time", r.Time)
	w.text("category", r.Category)
	w.text("resourceId", r.ResourceID)
	w.text("operationName", r.OperationName)
	w.text("operationVersion", r.OperationVersion)
	w.text("resultType", r.ResultType)
	w.text("resultSignature", r.ResultSignature)
	w.text("resultDescription", r.ResultDescription)
	w.text("durationMs", r.DurationMs)
	w.text("callerIpAddress", r.CallerIPAddress)
	w.text("correlationId", r.CorrelationID)
	w.open(`"identity":{"claim":{`)
	w.given("http://schemas.microsoft.com/identity/claims/objectidentifier", r.Identity.Claim.ObjectID)
	w.given("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", r.Identity.Claim.UPN)
	w.given("appid", r.Identity.Claim.AppID)
	w.given("uid", r.Identity.Claim.UID)
	w.given("uti", r.Identity.Claim.TokenID)
	w.given("kid", r.Identity.Claim.KeyID)
	w.given("credentialId", r.Identity.Claim.Credential)
	w.close(`}}`)
	p := &r.Properties
	w.open(`"properties":{`)
	w.text("id", p.ID)
	w.text("clientInfo", p.ClientInfo)
	w.text("requestUri", p.RequestURI)
	if p.HTTPStatusCode != 0 {
		w.name("httpStatusCode")
		w.b = strconv.AppendInt(w.b, int64(p.HTTPStatusCode), 10)
	}
	w.given("tlsVersion", p.TLSVersion)
	w.text("subnetId", p.SubnetID)
	w.flag("isRbacAuthorized", p.IsRbacAuthorized)
	w.flag("isAccessPolicyMatch", p.IsAccessPolicyMatch)
	w.flag("isAddressAuthorized", p.IsAddressAuthorized)
	w.given("addressAuthorizationType", p.AddressAuthorizationType)
	w.given("appliedAssignmentId", p.AppliedAssignmentID)
	w.given("algorithm", p.Algorithm)
	w.text("requestId", p.RequestID)
	w.given("errorCode", p.ErrorCode)
	w.given("innerErrorCode", p.InnerErrorCode)
	w.given("authenticationFailure", p.AuthenticationFailure)
	if p.Details != (Details{}) {
		w.members(p.Details)
	}
	if p.Before != nil {
		w.open(`"before":{`)
		w.members(*p.Before)
		w.close(`}`)
	}
	w.close(`}}`)
	return w.b, w.err
}

// writer puts members of a JSON object one after another.
type writer struct {
	b    []byte
	some bool // the object that is open has a member already
	err  error
}

// comma parts a member from the one before.
func (w *writer) comma() {
	if w.some {
		w.b = append(w.b, ',')
	}
	w.some = true
}

// open begins objects, the last of which has no member yet.
func (w *writer) open(head string) {
	w.comma()
	w.b = append(w.b, head...)
	w.some = false
}

// close ends objects.
func (w *writer) close(tail string) {
	w.b = append(w.b, tail...)
	w.some = true
}

func (w *writer) name(name string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) text(name, value string) {
	w.name(name)
	if !isPlain(value) {
		w.b = append(w.b, w.encode(value)...)
		return
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, value...)
	w.b = append(w.b, '"')
}

// given writes what is not empty.
func (w *writer) given(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

// flag writes what is not nil.
func (w *writer) flag(name string, value *bool) {
	if value != nil {
		w.name(name)
		w.b = strconv.AppendBool(w.b, *value)
	}
}

// members writes those of v into the object that is open.
func (w *writer) members(v Details) {
	object := w.encode(v)
	if len(object) <= len(`{}`) {
		return
	}
	w.comma()
	w.b = append(w.b, object[1:len(object)-1]...)
}

// encode is the JSON of v; nothing after an error, which stays.
func (w *writer) encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		w.err = err
		return nil
	}
	return escapeHidden(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// escapeHidden writes the runes of a JSON text that a terminal acts on or does not
// show as \uXXXX (RFC 8259, section 7): controls, and what changes the direction or
// the look of the text around it. Whoever reads a line must see what it says.
// Outside of strings JSON has none but line feeds, which are not in a line.
func escapeHidden(text []byte) []byte {
	if !bytes.ContainsFunc(text, isHidden) {
		return text
	}
	var b []byte
	for _, r := range string(text) {
		switch {
		case !isHidden(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

// isHidden tells what Unicode does not call printable: controls, format characters
// (directions, their isolates and marks, joiners, tags), separators of lines.
func isHidden(r rune) bool { return !unicode.IsPrint(r) }

// isPlain tells whether a JSON string holds s as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// room is what a line usually needs, in bytes.
const room = 1536

// appendLine adds the record as it is written: one line.
func (r *record) appendLine(b []byte) ([]byte, error) {
	b, err := r.append(b)
	return append(b, '\n'), err
}

// intentLine is the record as it is emitted when no outcome follows, in a line of
// the intent file: see intent.
func (r *record) intentLine() ([]byte, error) {
	b := append(make([]byte, 0, room), `{"intent":"`...)
	b = append(b, r.Properties.RequestID...) // a GUID
	b, err := r.append(append(append(b, '"'), recordMember...))
	return append(b, "}\n"...), err
}

const recordMember = `,"record":`
