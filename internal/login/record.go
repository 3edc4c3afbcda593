package login

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"coffer/internal/access"
	"coffer/internal/audit"
)

// Attempts is the Recorder of the audit log (contract observability.md, 3.5).
type Attempts struct{ Recorder *access.Recorder }

// RecordToken records a token before it is given, or that none was. A log that could
// record none keeps a token from being issued: what is issued is durably on record.
func (t Attempts) RecordToken(ctx context.Context, ev Event) error {
	a := t.Recorder.Begin(ev.Time)
	o := audit.Outcome{Status: http.StatusOK}
	if ev.Issued {
		a.OnResource(access.TokenIssue, access.Target{})
		a.Describe(audit.Details{Token: &audit.TokenProperties{
			Audience: audit.Clip(ev.Audience), CredentialKind: string(ev.Credential), Expires: ev.Expires.Unix(),
		}})
	} else {
		a.OnResource(access.TokenRefuse, access.Target{})
		o = audit.Outcome{Status: http.StatusUnauthorized, ErrorCode: ev.Error, Message: fmt.Sprintf("AADSTS%d", ev.Number)}
	}
	a.Authenticated(access.Caller{ObjectID: ev.ObjectID, AppID: ev.AppID, TokenID: ev.TokenID, KeyID: ev.KeyID, Credential: ev.ProofID})
	a.Arrived(audit.Request{Address: ev.Source, CorrelationID: ev.Correlation}, netip.Addr{}, "")
	if ev.Issued {
		if err := a.Announce(ctx); err != nil {
			return err
		}
	}
	if ev.ObjectID == "" {
		a.OfNobody()
	}
	return a.Finish(o)
}
