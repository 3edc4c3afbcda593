package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"time"
)

// Entry is the place of one attempt in the log: of a request being served, or of
// a piece of background work. Intent writes there that it is about to have an
// effect, Finish what came of it. It is not safe for concurrent use.
type Entry struct {
	log      *Log
	arrival  time.Time
	id       string
	intended bool // the log holds an intent under id
	finished bool
}

// Begin opens the entry of an attempt that began at the given time. It gives the
// attempt a random id, which serves as x-ms-request-id too.
func (l *Log) Begin(arrival time.Time) *Entry {
	return &Entry{log: l, arrival: arrival, id: newID()}
}

// newID makes a random GUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// RequestID is the id of the attempt, unique to it.
func (e *Entry) RequestID() string { return e.id }

// record is what the facts say, of this attempt.
func (e *Entry) record(f *Facts) record {
	r := f.record()
	r.Time, r.Properties.RequestID = stamp(e.arrival), e.id
	return r
}

// Intent makes durable who is about to do what. Call it before the effect; when
// it fails, there must be none. It may be called again when the object has
// become known. The outcome still comes by Finish.
func (e *Entry) Intent(ctx context.Context, f *Facts) error {
	if e.finished {
		return errors.New("audit: the entry is finished")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	rec := e.record(f)
	rec.ResultType, rec.ResultSignature, rec.DurationMs = unknown, unknown, "0"
	line, err := rec.intentLine()
	if err != nil {
		return err
	}
	if err := e.log.intend(e.id, line); err != nil {
		return err
	}
	e.intended = true
	return nil
}

// Outcome is what came of an attempt.
type Outcome struct {
	Status         int    // of HTTP; background work says 200 or 500
	ErrorCode      string // of the error body
	InnerErrorCode string
	Message        string // of the error body, or why nothing was needed; cut to 512 characters

	// NotNeeded tells that nothing was done because there was nothing to do: the
	// object of a scheduled purge was recovered meanwhile, say.
	NotNeeded bool
	// Unknown tells that nobody knows whether it took effect: the answer of a
	// commit was lost, say.
	Unknown bool
}

// The words of resultType (contract observability.md, 1.2).
const (
	success   = "Success"
	failure   = "Failure"
	unknown   = "Unknown"
	notNeeded = "NotNeeded"
)

// describe puts the outcome into a record.
func (o Outcome) describe(r *record) {
	r.ResultType, r.ResultSignature = success, signature(o.Status)
	switch {
	case o.Unknown:
		r.ResultType, r.ResultDescription = unknown, clip(valid(o.Message), maxText)
	case o.NotNeeded:
		r.ResultType, r.ResultDescription = notNeeded, clip(valid(o.Message), maxText)
	case o.Status >= 400:
		r.ResultType, r.ResultDescription = failure, clip(valid(o.Message), maxText)
	}
	r.Properties.HTTPStatusCode = o.Status
	r.Properties.ErrorCode, r.Properties.InnerErrorCode = o.ErrorCode, o.InnerErrorCode
}

// lineBuffers are for what is handed on at once.
var lineBuffers = sync.Pool{New: func() any { b := make([]byte, 0, room); return &b }}

// Finish writes the record. An error means that there is none: do not answer
// success. Then Finish may be called again with the outcome that is answered
// instead. After success, further calls do nothing.
func (e *Entry) Finish(f *Facts, o Outcome) error {
	if e.finished {
		return nil
	}
	if u := f.Unauthenticated; u != nil && e.log.skips(!u.WithToken) {
		e.finished = true
		return nil
	}
	r := e.record(f)
	r.DurationMs = strconv.FormatInt(max(0, e.log.cfg.Now().Sub(e.arrival).Milliseconds()), 10)
	o.describe(&r)

	// The main record comes first: when a crash tears the write, either it is
	// whole, or nothing is and the intent is emitted.
	kept := lineBuffers.Get().(*[]byte)
	defer lineBuffers.Put(kept)
	lines, err := r.appendLine((*kept)[:0])
	*kept = lines
	if err != nil {
		return err
	}
	for _, x := range f.Also {
		second := r
		second.OperationName = x.Operation
		second.Properties.Details, second.Properties.Before = x.Details, nil
		if lines, err = second.appendLine(lines); err != nil {
			return err
		}
	}
	if f.powerless() && !e.intended && !e.log.refused.admit(f.Request.Address, len(lines), e.log.cfg.Now()) {
		e.finished = true
		return nil
	}
	key := ""
	if e.intended {
		key = e.id
	}
	if err := e.log.record(lines, key); err != nil {
		return err
	}
	e.finished = true
	return nil
}
