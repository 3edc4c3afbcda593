package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// Log is the sink that writes messages to the program's log.
type Log struct{ Logger *slog.Logger }

// Deliver implements Sink.
func (l Log) Deliver(ctx context.Context, m Message) error {
	var d Dates
	if err := json.Unmarshal(m.Data, &d); err != nil {
		return fmt.Errorf("reading the dates of a version: %w", err)
	}
	level, text := slog.LevelInfo, string(m.Topic)
	if m.Topic == KeyNearExpiry {
		level, text = slog.LevelWarn, "a key is about to expire"
	}
	attributes := []slog.Attr{slog.String("message", m.ID), slog.String("vault", string(m.Vault)),
		slog.String("name", m.Subject.Name.String()), slog.String("version", string(m.Subject.Version))}
	if d.Expires != nil {
		attributes = append(attributes, slog.Time("expires", time.Unix(*d.Expires, 0).UTC()))
	}
	l.Logger.LogAttrs(ctx, level, text, attributes...)
	return nil
}
