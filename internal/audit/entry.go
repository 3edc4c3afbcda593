package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Entry is one request being served, or one piece of background work. It is
// filled on the way and written once, by Finish. It is not safe for concurrent
// use. All methods may be called on a nil Entry, and do nothing: such work is
// recorded by whoever started it.
type Entry struct {
	log        *Log
	rec        record
	arrival    time.Time
	vaultURL   string
	resourceID string // of the vault, as it was given
	object     string // path of the object below the vault's URL
	version    string
	anonymous  bool // answered with 401
	tokenless  bool // and no token was sent
	also       []extra
	intended   bool // the log holds an intent under RequestID
	finished   bool
}

// extra is a second record of the same request.
type extra struct {
	operation string
	details   Details
}

// Begin opens the entry of a request that arrived at the given time. It gives
// the request a random id, which serves as x-ms-request-id too.
func (l *Log) Begin(arrival time.Time) *Entry {
	e := &Entry{log: l, arrival: arrival}
	e.rec.Time = stamp(arrival)
	e.rec.Category = "AuditEvent"
	e.rec.OperationName = "Unknown"
	e.rec.Properties.SubnetID = "(unknown)"
	e.rec.Properties.RequestID = newID()
	return e
}

// newID makes a random GUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

type contextKey struct{}

// NewContext returns a context that carries e.
func NewContext(ctx context.Context, e *Entry) context.Context {
	return context.WithValue(ctx, contextKey{}, e)
}

// FromContext returns the entry that ctx carries, or nil.
func FromContext(ctx context.Context) *Entry {
	e, _ := ctx.Value(contextKey{}).(*Entry)
	return e
}

// RequestID is the id of the request, unique to it; "" of a nil Entry.
func (e *Entry) RequestID() string {
	if e == nil {
		return ""
	}
	return e.rec.Properties.RequestID
}

// Request is what arrived, before anything of it was believed.
type Request struct {
	Address       string // the caller's, without port
	URI           string // as received; secrets in its query are masked
	UserAgent     string
	CorrelationID string // x-ms-client-request-id
	TLSVersion    uint16 // as crypto/tls numbers it; 0 without TLS
}

// SetRequest notes what arrived. Texts are cut to 512 characters, the URI to 4096.
func (e *Entry) SetRequest(r Request) {
	if e == nil {
		return
	}
	e.rec.CallerIPAddress = clip(r.Address, maxText)
	e.rec.CorrelationID = clip(valid(r.CorrelationID), maxText)
	e.rec.Properties.ClientInfo = clip(valid(r.UserAgent), maxText)
	e.rec.Properties.RequestURI = maskURI(valid(r.URI))
	e.rec.Properties.TLSVersion = tlsName(r.TLSVersion)
}

// SetBackground marks the vault's own work (contract observability.md, 3.4).
func (e *Entry) SetBackground(jobID string) {
	if e == nil {
		return
	}
	e.rec.Identity.Claim = Claims{AppID: "vault"}
	e.rec.CorrelationID = clip(jobID, maxText)
}

// SetVault names the vault: its resource id, and its URL, to which the paths of
// objects are joined. An empty argument keeps what was set before.
func (e *Entry) SetVault(resourceID, url string) {
	if e == nil {
		return
	}
	if resourceID != "" && resourceID != e.resourceID { // the door and the gate both say it
		e.resourceID, e.rec.ResourceID = resourceID, strings.ToUpper(resourceID)
	}
	if url != "" {
		e.vaultURL = strings.TrimSuffix(url, "/")
	}
}

// SetOperation names the operation (contract observability.md, 2).
func (e *Entry) SetOperation(name string) {
	if e != nil {
		e.rec.OperationName = name
	}
}

// SetAPIVersion notes the api-version of the request.
func (e *Entry) SetAPIVersion(version string) {
	if e != nil {
		e.rec.OperationVersion = clip(valid(version), maxText)
	}
}

// SetCaller notes who called, from a verified token.
func (e *Entry) SetCaller(c Claims) {
	if e != nil {
		e.rec.Identity.Claim = Claims{
			ObjectID: clip(valid(c.ObjectID), maxText), UPN: clip(valid(c.UPN), maxText), AppID: clip(valid(c.AppID), maxText),
		}
	}
}

// SetObject notes the object acted on, as a path below the vault's URL
// ("certificates/web"). It forgets the version of an object named before.
func (e *Entry) SetObject(path string) {
	if e != nil {
		e.object, e.version = path, ""
	}
}

// SetObjectVersion notes the version returned or acted on.
func (e *Entry) SetObjectVersion(version string) {
	if e != nil {
		e.version = version
	}
}

// SetAlgorithm notes the algorithm of a cryptographic operation.
func (e *Entry) SetAlgorithm(name string) {
	if e != nil {
		e.rec.Properties.Algorithm = clip(valid(name), maxText)
	}
}

// SetAddressAuthorized notes the firewall's answer.
func (e *Entry) SetAddressAuthorized(ok bool) {
	if e != nil {
		e.rec.Properties.IsAddressAuthorized = &ok
		e.rec.Properties.AddressAuthorizationType = "Public IP"
	}
}

// SetAuthorized notes the permission's answer: by roles or by access policies,
// and the role assignment that decided, if one did.
func (e *Entry) SetAuthorized(rbac, allowed bool, assignmentID string) {
	if e == nil {
		return
	}
	byRole, byPolicy := rbac && allowed, !rbac && allowed
	e.rec.Properties.IsRbacAuthorized, e.rec.Properties.IsAccessPolicyMatch = &byRole, &byPolicy
	e.rec.Properties.AppliedAssignmentID = assignmentID
}

// SetUnauthenticated turns the entry into that of a 401: no identity, operation
// Authentication. failure is the AKV number, "" if there is none; withToken
// tells whether the request carried a token at all.
func (e *Entry) SetUnauthenticated(failure string, withToken bool) {
	if e == nil {
		return
	}
	e.anonymous, e.tokenless = true, !withToken
	e.rec.OperationName = "Authentication"
	e.rec.Identity.Claim = Claims{}
	e.rec.Properties.AuthenticationFailure = failure
}

// Describe adds members that belong to the operation; nil ones change nothing.
func (e *Entry) Describe(d Details) {
	if e != nil {
		e.rec.Properties.Details.merge(d)
	}
}

// DescribeBefore adds the old values of members that the operation changes.
func (e *Entry) DescribeBefore(d Details) {
	if e == nil {
		return
	}
	if e.rec.Properties.Before == nil {
		e.rec.Properties.Before = new(Details)
	}
	e.rec.Properties.Before.merge(d)
}

// Also asks for a second record of this request, with the same outcome: a
// create that carries a policy is recorded as CertificatePolicySet as well.
func (e *Entry) Also(operation string, d Details) {
	if e != nil {
		e.also = append(e.also, extra{operation, d})
	}
}

// Intent makes durable who is about to do what. Call it before the effect; when
// it fails, there must be none. It may be called again when the object has
// become known. The outcome still comes by Finish.
func (e *Entry) Intent(ctx context.Context) error {
	if e == nil {
		return nil
	}
	if e.finished {
		return errors.New("audit: the entry is finished")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	rec := e.rec
	rec.ResultType, rec.ResultSignature, rec.DurationMs = "Unknown", "Unknown", "0"
	rec.Properties.ID = e.id()
	line, err := rec.intentLine()
	if err != nil {
		return err
	}
	if err := e.log.intend(e.RequestID(), line); err != nil {
		return err
	}
	e.intended = true
	return nil
}

// Outcome is what came of the request.
type Outcome struct {
	Status         int    // of HTTP; background work says 200 or 500
	ErrorCode      string // of the error body
	InnerErrorCode string
	Message        string // of the error body; cut to 512 characters
}

// lineBuffers are for what is handed on at once.
var lineBuffers = sync.Pool{New: func() any { b := make([]byte, 0, room); return &b }}

// Finish writes the record. An error means that there is none: do not answer
// success. Then Finish may be called again with the outcome that is answered
// instead. After success, further calls do nothing.
func (e *Entry) Finish(o Outcome) error {
	if e == nil || e.finished {
		return nil
	}
	if e.anonymous && e.log.skips(e.tokenless) {
		e.finished = true
		return nil
	}
	r := e.rec
	r.ResultType = "Success"
	if o.Status >= 400 {
		r.ResultType = "Failure"
		r.ResultDescription = clip(valid(o.Message), maxText)
	}
	r.ResultSignature = signature(o.Status)
	r.DurationMs = strconv.FormatInt(max(0, e.log.cfg.Now().Sub(e.arrival).Milliseconds()), 10)
	r.Properties.ID = e.id()
	r.Properties.HTTPStatusCode = o.Status
	r.Properties.ErrorCode, r.Properties.InnerErrorCode = o.ErrorCode, o.InnerErrorCode

	// The main record comes first: when a crash tears the write, either it is
	// whole, or nothing is and the intent is emitted.
	kept := lineBuffers.Get().(*[]byte)
	defer lineBuffers.Put(kept)
	lines, err := r.appendLine((*kept)[:0])
	*kept = lines
	if err != nil {
		return err
	}
	for _, x := range e.also {
		second := r
		second.OperationName = x.operation
		second.Properties.Details, second.Properties.Before = x.details, nil
		if lines, err = second.appendLine(lines); err != nil {
			return err
		}
	}
	key := ""
	if e.intended {
		key = e.RequestID()
	}
	if err := e.log.record(lines, key); err != nil {
		return err
	}
	e.finished = true
	return nil
}

// id is the identifier of the object, or the vault's URL.
func (e *Entry) id() string {
	id := e.vaultURL
	if e.object != "" {
		id += "/" + e.object
		if e.version != "" {
			id += "/" + e.version
		}
	}
	return id
}
