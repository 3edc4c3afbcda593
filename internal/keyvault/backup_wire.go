package keyvault

import (
	"context"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/vault"
)

// backupBody is what a backup answers and a restore reads.
type backupBody struct {
	Value string `json:"value"`
}

func renderBackup(_ pipeline.Request, value string) rest.Reply { return rest.OK(backupBody{value}) }

// restoring is the method of a restore, whose name is in the backup.
func (s *Server) restoring(e pipeline.Endpoint) pipeline.Method {
	return pipeline.Method{Verb: http.MethodPost, Do: e.Heavy().MaxBody(s.cfg.MaxRestoreBody)}
}

// restore makes the endpoint of a restore: open finds the name in the backup before
// the gate is asked.
func restore[B interface{ Name() object.Name }, R any](a access.Action, open func(context.Context, *vault.Vault, string) (B, error),
	rule pipeline.Rule[B, R], render func(pipeline.Request, R) rest.Reply) pipeline.Endpoint {
	return pipeline.NamedInBody(a, func(in *rest.Input) string { return in.NeedText("value") }, open, rule, render)
}
