package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/vault"
)

// Config is what a Service is made of; every field is required.
type Config struct {
	Vaults      *vault.Service
	Assignments *access.Assignments
	Directory   *directory.Directory
	Gate        *access.Gate
	Recorder    *access.Recorder
	TenantID    string

	// Rotate makes a new root key and wraps every data key with it.
	Rotate func(ctx context.Context) (Rotated, error)
	// Backup writes a copy of the database to a file on this machine.
	Backup func(ctx context.Context, path string) error
	// Forget drops what is kept in memory of a vault that is gone.
	Forget func(v *vault.Vault)

	Now    func() time.Time
	Logger *slog.Logger
}

// Service answers the calls.
type Service struct {
	cfg   Config
	calls map[string]call
}

// call is one call: which action it attempts, and what it does with the grant.
type call struct {
	action access.Action
	run    func(ctx context.Context, g access.Grant, in json.RawMessage) (any, error)
}

// New makes the Service.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg}
	s.calls = map[string]call{
		VaultCreate:  on(access.VaultCreate, s.createVault),
		VaultList:    on(access.VaultList, s.listVaults),
		VaultShow:    on(access.VaultGet, s.showVault),
		VaultUpdate:  on(access.VaultUpdate, s.updateVault),
		VaultDelete:  on(access.VaultDelete, s.deleteVault),
		PolicySet:    on(access.AccessPolicySet, s.setPolicy),
		PolicyRemove: on(access.AccessPolicyRemove, s.removePolicy),
		RoleAssign:   on(access.RoleAssignmentCreate, s.assign),
		RoleUnassign: on(access.RoleAssignmentDelete, s.unassign),
		RoleList:     on(access.RoleAssignmentList, s.assignments),

		IdentityCreate:   on(access.PrincipalCreate, s.createIdentity),
		IdentityList:     on(access.PrincipalList, s.listIdentities),
		IdentityShow:     on(access.PrincipalGet, s.showIdentity),
		IdentityEnable:   on(access.PrincipalEnable, s.enable),
		IdentityDisable:  on(access.PrincipalDisable, s.disable),
		IdentityDelete:   on(access.PrincipalDelete, s.deleteIdentity),
		SecretAdd:        on(access.CredentialAdd, s.addSecret),
		HeaderAdd:        on(access.CredentialAdd, s.addHeader),
		CertificateAdd:   on(access.CredentialAdd, s.addCertificate),
		FederatedAdd:     on(access.CredentialAdd, s.addFederated),
		CredentialRemove: on(access.CredentialRemove, s.forget),
		MemberAdd:        on(access.MemberAdd, s.join),
		MemberRemove:     on(access.MemberRemove, s.leave),

		Rotate: on(access.RootKeyRotate, func(ctx context.Context, _ access.Grant, _ None) (Rotated, error) { return cfg.Rotate(ctx) }),
		Backup: on(access.InstallationBackup, func(ctx context.Context, _ access.Grant, f ToFile) (None, error) {
			return None{}, cfg.Backup(ctx, f.Path)
		}),
	}
	return s
}

func on[In, Out any](action access.Action, do func(context.Context, access.Grant, In) (Out, error)) call {
	return call{action, func(ctx context.Context, g access.Grant, raw json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, &fault.Error{Kind: fault.Invalid, Msg: "The input of the call cannot be read."}
		}
		return do(ctx, g, in)
	}}
}

// Call runs one call for an operator. It is on record, before it takes effect
// where it has one; a call that cannot be recorded is refused.
func (s *Service) Call(ctx context.Context, operator, name string, in json.RawMessage) (any, error) {
	c, ok := s.calls[name]
	if !ok {
		return nil, &fault.Error{Kind: fault.NotFound, Msg: fmt.Sprintf("There is no call %q.", name)}
	}
	attempt := s.cfg.Recorder.Begin(s.cfg.Now())
	attempt.Authenticated(access.Operator(operator))
	attempt.OnResource(c.action, access.Target{Resource: "/"})
	out, err := s.attempt(ctx, attempt, c, in)
	if recordErr := attempt.Finish(outcome(err)); recordErr != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Msg: "The outcome cannot be recorded; it may have taken effect.", Err: recordErr}
	}
	return out, err
}

func (s *Service) attempt(ctx context.Context, a *access.Attempt, c call, in json.RawMessage) (any, error) {
	g, err := s.cfg.Gate.Allow(ctx, a)
	if err != nil {
		return nil, err
	}
	return c.run(ctx, g, in)
}

func outcome(err error) audit.Outcome {
	if err == nil {
		return audit.Outcome{Status: http.StatusOK}
	}
	if _, told := errors.AsType[*fault.Error](err); told {
		return audit.Outcome{Status: http.StatusBadRequest, Message: err.Error()}
	}
	return audit.Outcome{Status: http.StatusInternalServerError, Message: err.Error()}
}
