package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"coffer/internal/rest"
	"coffer/internal/throttle"
)

// clientLeft tells whether a request failed because its client has gone away, which
// is nothing that an operator must look at.
func (c *call) clientLeft(a *rest.Answer) bool {
	return a.Failure != nil && errors.Is(a.Failure.Internal, context.Canceled) && c.r.Context().Err() != nil
}

// log writes the one event of a request: never a query but its api-version,
// never a body.
func (c *call) log(a *rest.Answer) {
	level := levelOf(a.Status())
	if c.clientLeft(a) {
		level = slog.LevelInfo
	}
	ctx, logger := c.r.Context(), c.p.cfg.Logger
	if !logger.Enabled(ctx, level) {
		return
	}
	// A failure of ours is told whoever meets it.
	unknown := c.attempt.Caller().ID() == "" || c.attempt.Powerless()
	if unknown && level < slog.LevelError && !c.p.events.Allow(c.r.RemoteAddr, c.p.cfg.Now()) {
		c.p.muted.Add(1)
		return
	}
	attrs := make([]slog.Attr, 0, 11)
	if n := c.p.muted.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("events_left_out", n))
	}
	attrs = append(attrs,
		slog.String("method", rest.Excerpt(c.arrived.method)),
		slog.Int("status", a.Status()),
		slog.Duration("duration", c.p.cfg.Now().Sub(c.arrived.at)),
		slog.String("request_id", c.attempt.ID()))
	if c.admitted.route != nil {
		attrs = append(attrs, slog.String("route", c.admitted.route.Pattern()))
	}
	if v := c.admitted.vault; v != nil {
		attrs = append(attrs, slog.String("vault", v.Name))
	}
	if version := c.arrived.query.Get(rest.APIVersion); version != "" {
		attrs = append(attrs, slog.String("api_version", rest.Excerpt(version)))
	}
	if id := c.attempt.Caller().ObjectID; id != "" {
		attrs = append(attrs, slog.String("caller", id))
	}
	if f := a.Failure; f != nil {
		attrs = append(attrs, slog.String("code", f.Code))
		if logger.Enabled(ctx, slog.LevelDebug) {
			attrs = append(attrs, slog.String("message", f.Message))
		}
		if f.Internal != nil {
			attrs = append(attrs, slog.Any("error", f.Internal))
		}
	}
	logger.LogAttrs(ctx, level, "request", attrs...)
}

func levelOf(status int) slog.Level {
	if status >= http.StatusInternalServerError {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Logged is a door with a protocol of its own, which is answered as it stands and
// leaves one event too. Its paths hold no secrets.
//
// What is refused has the same budget as that of a Pipeline.
func Logged(door string, logger *slog.Logger, now func() time.Time, h http.Handler) http.Handler {
	events := throttle.NewSources(eventsPerSecond, eventsBurst)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := now()
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(sw, r)
		if refused := sw.status >= 400 && sw.status < 500; refused && !events.Allow(r.RemoteAddr, now()) {
			return
		}
		logger.LogAttrs(r.Context(), levelOf(sw.status), "request", slog.String("door", door), slog.String("method", rest.Excerpt(r.Method)),
			slog.Int("status", sw.status), slog.Duration("duration", now().Sub(began)), slog.String("path", rest.Excerpt(r.URL.Path)))
	})
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
