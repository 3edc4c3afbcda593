package login

import (
	"context"
	"fmt"
	"log/slog"
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

// logged answers a request and logs it: one event, as the data plane has one.
func (s *Server) logged(w http.ResponseWriter, r *http.Request, answer http.HandlerFunc) {
	began := s.now()
	sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	answer(sw, r)
	level := slog.LevelInfo
	if sw.status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.log.LogAttrs(r.Context(), level, "request", slog.String("door", "login"), slog.String("method", r.Method),
		slog.Int("status", sw.status), slog.Duration("duration", s.now().Sub(began)), slog.String("path", r.URL.Path))
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
