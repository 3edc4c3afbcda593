package config

import (
	"io"
	"log/slog"
)

const maxAuditMegabytes = 1_000_000

// Audit is the log of every attempt.
type Audit struct {
	Path            string `yaml:"path,omitempty"`            // zero: audit.jsonl in the data folder
	Unauthenticated string `yaml:"unauthenticated,omitempty"` // which 401s are recorded: with-token (zero), all, none
	MaxMegabytes    int    `yaml:"max_megabytes,omitempty"`   // size at which the file is rotated; zero: 256
}

func (a Audit) check(m *mistakes) {
	m.oneOf("audit.unauthenticated", a.Unauthenticated, "with-token", "all", "none")
	m.within("audit.max_megabytes", a.MaxMegabytes, maxAuditMegabytes)
}

// Log is the program's log on standard error.
type Log struct {
	Level  string `yaml:"level,omitempty"`  // debug, info (zero), warn, error
	Format string `yaml:"format,omitempty"` // json (zero) or text
}

func (l Log) check(m *mistakes) {
	m.oneOf("log.level", l.Level, "debug", "info", "warn", "error")
	m.oneOf("log.format", l.Format, "json", "text")
}

// Logger writes the program's log to w as the configuration says.
func (c *Config) Logger(w io.Writer) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[c.Log.Level]
	opts := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
