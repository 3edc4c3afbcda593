package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"coffer/internal/rest"
)

// clientLeft tells whether a request failed because its client has gone away, which
// is nothing that an operator must look at.
func (c *call) clientLeft(a *rest.Answer) bool {
	return a.Failure != nil && errors.Is(a.Failure.Internal, context.Canceled) && c.r.Context().Err() != nil
}

// log writes the one event of a request: never a query but its api-version,
// never a body.
func (c *call) log(a *rest.Answer) {
	level := slog.LevelInfo
	if a.Status() >= http.StatusInternalServerError && !c.clientLeft(a) {
		level = slog.LevelError
	}
	ctx, logger := c.r.Context(), c.p.cfg.Logger
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("method", rest.Excerpt(c.arrived.method)),
		slog.Int("status", a.Status()),
		slog.Duration("duration", c.p.cfg.Now().Sub(c.arrived.at)),
		slog.String("request_id", c.attempt.ID()))
	if c.admitted.route != nil {
		attrs = append(attrs, slog.String("route", c.admitted.route.Pattern()))
	}
	if v := c.admitted.vault; v != nil {
		attrs = append(attrs, slog.String("vault", v.Name), slog.String("api_version", rest.Excerpt(c.arrived.query.Get(rest.APIVersion))))
	}
	if id := c.attempt.Caller().ObjectID; id != "" {
		attrs = append(attrs, slog.String("caller", id))
	}
	if f := a.Failure; f != nil {
		attrs = append(attrs, slog.String("code", f.Code))
		if f.Internal != nil {
			attrs = append(attrs, slog.Any("error", f.Internal))
		}
	}
	logger.LogAttrs(ctx, level, "request", attrs...)
}
