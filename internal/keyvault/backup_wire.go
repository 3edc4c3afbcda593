package keyvault

import (
	"context"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// backupBody is what a backup answers and a restore reads.
type backupBody struct {
	Value string `json:"value"`
}

func renderBackup(_ *call, value string) reply { return ok(backupBody{value}) }

// opened is a backup that was found whole, and knows whose it is.
type opened interface{ Name() object.Name }

// restoring is the method of a restore, whose name is in the backup: open finds
// it there before the gate is asked.
func restoring[B opened, R any](a access.Action, open func(context.Context, *vault.Vault, string) (B, error),
	rule func(context.Context, access.Grant, B) (R, error), render func(*call, R) reply) routeMethod {
	target := func(c *call, in *input) error {
		value := in.text("value")
		if value == nil && in.raw("value") == nil {
			in.required("value")
		}
		if err := in.check(); err != nil {
			return err
		}
		b, err := open(c.ctx, c.vault, *value)
		if err != nil {
			return err
		}
		c.backup, c.name = b, b.Name()
		return nil
	}
	given := func(c *call, _ *input) B { return c.backup.(B) }
	return routeMethod{http.MethodPost, endpoint{action: a, body: true, target: target, handle: with(given, rule, render)}}
}
