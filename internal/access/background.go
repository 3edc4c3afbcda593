package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"coffer/internal/audit"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// BackgroundConfig is what Background is made of; every field is required.
type BackgroundConfig struct {
	Gate     *Gate
	Recorder *Recorder
	// Vault finds a vault by its id.
	Vault func(ctx context.Context, id object.VaultID) (*vault.Vault, error)
	// URL is where clients reach a vault.
	URL    func(v *vault.Vault) string
	Now    func() time.Time
	Logger *slog.Logger
}

// Background attempts the vault's own work: what is due without anybody asking.
type Background struct{ cfg BackgroundConfig }

// NewBackground makes the door of background work.
func NewBackground(cfg BackgroundConfig) *Background { return &Background{cfg} }

// Begin attempts work on one object of a vault, or, with the zero name, on the vault; "" for
// the vault is the installation. job names the job for the record, "" for
// none. The intent is durably on record when it returns a grant, which
// [Background.Finish] must follow. A stop of the process does not leave work
// without its record, so that the end of ctx does not matter.
func (b *Background) Begin(ctx context.Context, id object.VaultID, a Action, name object.Name, job string) (Grant, error) {
	ctx = context.WithoutCancel(ctx)
	itself := Caller{AppID: "vault", kind: ownSelf}
	attempt := b.cfg.Recorder.Begin(b.cfg.Now())
	attempt.request.CorrelationID = job
	if id == "" {
		attempt.Authenticated(itself)
		attempt.OnResource(a, Target{Resource: Everywhere})
		return b.cfg.Gate.Allow(ctx, attempt)
	}
	v, err := b.cfg.Vault(ctx, id)
	if err != nil {
		return Grant{}, fmt.Errorf("finding the vault of %s: %w", name, err)
	}
	itself.TenantID = v.TenantID
	attempt.In(v, b.cfg.URL(v))
	attempt.Authenticated(itself)
	attempt.On(a, name)
	return b.cfg.Gate.Allow(ctx, attempt)
}

// Finish writes the record. Work whose intent is on record is not undone when
// that fails: the intent becomes a record at the next start.
func (b *Background) Finish(g Grant, o audit.Outcome) {
	if err := g.attempt.Finish(o); err != nil {
		b.cfg.Logger.Error("the outcome of background work could not be recorded",
			"operation", g.action.Operation(), "name", g.name.String(), "error", err)
	}
}

// Outcome is that of background work which answers with this status when it
// succeeds. A NotNeeded error tells that there was nothing to do, and so does
// object.ErrChanged: somebody else did it, or changed what it was about. After
// object.ErrOutcomeUnknown nobody knows.
func Outcome(status int, err error) audit.Outcome {
	var unneeded NotNeeded
	switch {
	case err == nil:
		return audit.Outcome{Status: status}
	case errors.As(err, &unneeded):
		return audit.Outcome{Status: status, NotNeeded: true, Message: string(unneeded)}
	case errors.Is(err, object.ErrChanged):
		return audit.Outcome{Status: status, NotNeeded: true, Message: "It was done or changed elsewhere meanwhile."}
	case errors.Is(err, object.ErrOutcomeUnknown):
		return audit.Outcome{Status: 500, Unknown: true, ErrorCode: "InternalServerError", Message: err.Error()}
	}
	return audit.Outcome{Status: 500, ErrorCode: "InternalServerError", Message: err.Error()}
}

// NotNeeded is the error of work that found nothing to do, after its intent was on
// record: why.
type NotNeeded string

func (n NotNeeded) Error() string { return string(n) }
