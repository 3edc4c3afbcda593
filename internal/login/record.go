package login

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"coffer/internal/access"
	"coffer/internal/audit"
)

// Attempts is the Recorder of the audit log. It records refused tokens; good ones
// are as frequent as requests (contract observability.md, 3.5: off by default).
type Attempts struct{ Recorder *access.Recorder }

// RecordToken records a refusal. A log that could record none keeps a token from
// being issued.
func (t Attempts) RecordToken(_ context.Context, ev Event) error {
	if ev.Issued {
		return t.Recorder.Healthy()
	}
	a := t.Recorder.Begin(ev.Time)
	a.OnResource(access.TokenRefuse, access.Target{})
	a.Authenticated(access.Caller{ObjectID: ev.ObjectID, AppID: ev.AppID})
	a.Arrived(audit.Request{Address: ev.Source, CorrelationID: ev.Correlation}, netip.Addr{}, "")
	return a.Finish(audit.Outcome{Status: http.StatusUnauthorized, ErrorCode: ev.Error, Message: fmt.Sprintf("AADSTS%d", ev.Number)})
}
