package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/management"
	"coffer/internal/object"
	"coffer/internal/token"
	"coffer/internal/vault"
)

// Config is what a Service is made of; every field is required.
type Config struct {
	Management *management.Service
	Directory  *directory.Directory
	Tokens     *token.Service
	Gate       *access.Gate
	Recorder   *access.Recorder

	// URL is where clients reach a vault.
	URL func(*vault.Vault) string

	// Rotate makes a new root key and wraps every data key with it.
	Rotate func(ctx context.Context, g access.Grant, forgetOld bool) (Rotated, error)
	// RotateDataKeys gives data keys a successor, and DataKeys lists them.
	RotateDataKeys func(ctx context.Context, g access.Grant, r DataKeyRotation) (DataKeysRotated, error)
	DataKeys       func(ctx context.Context, g access.Grant) ([]DataKeyView, error)
	// CA are the steps of a change of the listener's own CA.
	CA CASteps
	// Backup writes a copy of the database to a file on this machine.
	Backup func(ctx context.Context, g access.Grant, path string) error
	// AuditHead answers what the database has seen of the audit log.
	AuditHead func(ctx context.Context, g access.Grant) (AuditHead, error)
	// Health answers what is wrong with the running process.
	Health func(ctx context.Context, g access.Grant) (HealthView, error)
	// Jobs answers the jobs that were given up, and RetryJob has one run again.
	Jobs     func(ctx context.Context, g access.Grant) ([]JobView, error)
	RetryJob func(ctx context.Context, g access.Grant, id string) error

	Now    func() time.Time
	Logger *slog.Logger
}

// CASteps show the CAs that clients trust, after what each does: make the next one, have it issue, take the former one out.
type CASteps struct {
	Show, Rotate, Switch, Retire CAStep
}

// CAStep is one of them.
type CAStep func(context.Context, access.Grant) ([]CAView, error)

func (do CAStep) run(ctx context.Context, g access.Grant, _ None) ([]CAView, error) {
	return do(ctx, g)
}

// Service answers the calls.
type Service struct {
	cfg   Config
	calls map[string]call
}

// call is one call: which action it attempts, on what, and what it does with the
// grant.
type call struct {
	action access.Action
	run    func(ctx context.Context, a *access.Attempt, in json.RawMessage) (any, error)
}

// New makes the Service.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg}
	s.calls = map[string]call{
		VaultCreate:  on(s, access.VaultCreate, NewVault.target, s.createVault),
		VaultList:    on(s, access.VaultList, everything, s.listVaults),
		VaultShow:    on(s, access.VaultGet, ByName.target, s.showVault),
		VaultUpdate:  on(s, access.VaultUpdate, VaultChange.target, s.updateVault),
		VaultDelete:  on(s, access.VaultDelete, ByName.target, s.deleteVault),
		PolicySet:    on(s, access.AccessPolicySet, Policy.target, s.setPolicy),
		PolicyRemove: on(s, access.AccessPolicyRemove, Policy.target, s.removePolicy),
		RoleAssign:   on(s, access.RoleAssignmentCreate, NewAssignment.target, s.assign),
		RoleUnassign: on(s, access.RoleAssignmentDelete, ByID.assignment, s.unassign),
		RoleList:     on(s, access.RoleAssignmentList, ByName.scope, s.assignments),

		IdentityCreate:   on(s, access.PrincipalCreate, everything, s.createIdentity),
		IdentityList:     on(s, access.PrincipalList, everything, s.listIdentities),
		IdentityShow:     on(s, access.PrincipalGet, everything, s.showIdentity),
		IdentityEnable:   on(s, access.PrincipalEnable, everything, s.enable),
		IdentityDisable:  on(s, access.PrincipalDisable, everything, s.disable),
		IdentityDelete:   on(s, access.PrincipalDelete, everything, s.deleteIdentity),
		IdentityRevoke:   on(s, access.PrincipalRevoke, everything, s.revoke),
		SecretAdd:        on(s, access.CredentialAdd, everything, s.addSecret),
		HeaderAdd:        on(s, access.CredentialAdd, everything, s.addHeader),
		CertificateAdd:   on(s, access.CredentialAdd, everything, s.addCertificate),
		FederatedAdd:     on(s, access.CredentialAdd, everything, s.addFederated),
		CredentialRemove: on(s, access.CredentialRemove, everything, s.forget),
		MemberAdd:        on(s, access.MemberAdd, everything, s.join),
		MemberRemove:     on(s, access.MemberRemove, everything, s.leave),

		TokenKeys:       on(s, access.TokenKeyList, everything, s.tokenKeys),
		TokenKeyRotate:  on(s, access.TokenKeyRotate, everything, s.rotateTokenKey),
		TokenKeysRevoke: on(s, access.TokenKeyRevoke, everything, s.revokeTokenKeys),

		Rotate: on(s, access.RootKeyRotate, everything, func(ctx context.Context, g access.Grant, r Rotation) (Rotated, error) {
			return cfg.Rotate(ctx, g, r.ForgetOld)
		}),
		RotateDataKeys: on(s, access.DataKeyRotate, everything, func(ctx context.Context, g access.Grant, r DataKeyRotation) (DataKeysRotated, error) {
			return cfg.RotateDataKeys(ctx, g, r)
		}),
		RotateStatus: on(s, access.DataKeyRead, everything, func(ctx context.Context, g access.Grant, _ None) ([]DataKeyView, error) {
			return cfg.DataKeys(ctx, g)
		}),
		CAShow:   on(s, access.CARead, everything, cfg.CA.Show.run),
		CARotate: on(s, access.CARotate, everything, cfg.CA.Rotate.run),
		CASwitch: on(s, access.CASwitch, everything, cfg.CA.Switch.run),
		CARetire: on(s, access.CARetire, everything, cfg.CA.Retire.run),
		Backup: on(s, access.InstallationBackup, everything, func(ctx context.Context, g access.Grant, f ToFile) (None, error) {
			return None{}, cfg.Backup(ctx, g, f.Path)
		}),
		JobList: on(s, access.JobList, everything, func(ctx context.Context, g access.Grant, _ None) ([]JobView, error) { return cfg.Jobs(ctx, g) }),
		JobRetry: on(s, access.JobRetry, everything, func(ctx context.Context, g access.Grant, j ByID) (None, error) {
			return None{}, cfg.RetryJob(ctx, g, j.ID)
		}),
		HealthShow: on(s, access.HealthRead, everything, func(ctx context.Context, g access.Grant, _ None) (HealthView, error) { return cfg.Health(ctx, g) }),
		AuditShow:  on(s, access.AuditRead, everything, func(ctx context.Context, g access.Grant, _ None) (AuditHead, error) { return cfg.AuditHead(ctx, g) }),
	}
	return s
}

// everything is the target of calls on the installation as a whole.
func everything[In any](In, context.Context, *Service) (access.Target, error) {
	return access.Target{Resource: access.Everywhere}, nil
}

// on makes a call of its three parts: what the input says that it is on, and what is
// done with the grant for that.
func on[In, Out any](s *Service, action access.Action, target func(In, context.Context, *Service) (access.Target, error),
	do func(context.Context, access.Grant, In) (Out, error)) call {
	return call{action, func(ctx context.Context, a *access.Attempt, raw json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, &fault.Error{Kind: fault.Invalid, Msg: "The input of the call cannot be read."}
		}
		t, err := target(in, ctx, s)
		if err != nil {
			return nil, err
		}
		a.OnResource(action, t)
		g, err := s.cfg.Gate.Allow(ctx, a)
		if err != nil {
			return nil, err
		}
		return do(ctx, g, in)
	}}
}

// Call runs one call for an operator, an access.Operator. It is on record, before it
// takes effect where it has one; a call that cannot be recorded is refused.
func (s *Service) Call(ctx context.Context, operator access.Caller, name string, in json.RawMessage) (any, error) {
	c, ok := s.calls[name]
	if !ok {
		return nil, &fault.Error{Kind: fault.NotFound, Msg: fmt.Sprintf("There is no call %q.", name)}
	}
	attempt := s.cfg.Recorder.Begin(s.cfg.Now())
	attempt.Authenticated(operator)
	attempt.OnResource(c.action, access.Target{Resource: access.Everywhere}) // until the input says more
	out, err := s.run(ctx, c, attempt, in)
	if recordErr := attempt.Finish(outcome(err)); recordErr != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Msg: "The outcome cannot be recorded; it may have taken effect.", Err: recordErr}
	}
	return out, err
}

// run is the call whose panic is an error: the attempt has its record all the same.
func (s *Service) run(ctx context.Context, c call, a *access.Attempt, in json.RawMessage) (out any, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, errors.New("an internal error; the server's log has it")
			s.cfg.Logger.ErrorContext(ctx, "a call of the command line panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	return c.run(ctx, a, in)
}

func outcome(err error) audit.Outcome {
	if err == nil {
		return audit.Outcome{Status: http.StatusOK}
	}
	if _, told := errors.AsType[*fault.Error](err); told {
		return audit.Outcome{Status: http.StatusBadRequest, Message: err.Error()}
	}
	return audit.Outcome{Status: http.StatusInternalServerError, Message: err.Error(), Unknown: errors.Is(err, object.ErrOutcomeUnknown)}
}
