package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/fault"
	"coffer/internal/identity"
	"coffer/internal/vault"
)

// Config is what a Service is made of; every field is required.
type Config struct {
	Vaults      *vault.Service
	Assignments *access.Assignments
	Directory   *identity.Directory
	Audit       *audit.Log
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

// call is one call: how it is recorded and what it does.
type call struct {
	operation string // of the audit record; "" for reads, which are not recorded
	run       func(ctx context.Context, in json.RawMessage) (any, error)
}

// New makes the Service.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg}
	s.calls = map[string]call{
		VaultCreate:  on("VaultPut", s.createVault),
		VaultList:    on("", s.listVaults),
		VaultShow:    on("", s.showVault),
		VaultUpdate:  on("VaultPatch", s.updateVault),
		VaultDelete:  on("VaultDelete", s.deleteVault),
		PolicySet:    on("VaultAccessPolicyChanged", s.setPolicy),
		PolicyRemove: on("VaultAccessPolicyChanged", s.removePolicy),
		RoleAssign:   on("VaultRoleAssignmentPut", s.assign),
		RoleUnassign: on("VaultRoleAssignmentDelete", s.unassign),
		RoleList:     on("", s.assignments),

		IdentityCreate:   on("IdentityPrincipalPut", s.createIdentity),
		IdentityList:     on("", s.listIdentities),
		IdentityShow:     on("", s.showIdentity),
		IdentityEnable:   on("IdentityPrincipalEnable", s.enable),
		IdentityDisable:  on("IdentityPrincipalDisable", s.disable),
		IdentityDelete:   on("IdentityPrincipalDelete", s.deleteIdentity),
		SecretAdd:        on("IdentityCredentialPut", s.addSecret),
		HeaderAdd:        on("IdentityCredentialPut", s.addHeader),
		CertificateAdd:   on("IdentityCredentialPut", s.addCertificate),
		FederatedAdd:     on("IdentityCredentialPut", s.addFederated),
		CredentialRemove: on("IdentityCredentialDelete", s.forget),
		MemberAdd:        on("IdentityMemberPut", s.join),
		MemberRemove:     on("IdentityMemberDelete", s.leave),

		Rotate: on("VaultRootKeyRotate", func(ctx context.Context, _ None) (Rotated, error) { return cfg.Rotate(ctx) }),
		Backup: on("VaultBackup", func(ctx context.Context, f ToFile) (None, error) { return None{}, cfg.Backup(ctx, f.Path) }),
	}
	return s
}

func on[In, Out any](operation string, do func(context.Context, In) (Out, error)) call {
	return call{operation, func(ctx context.Context, raw json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, &fault.Error{Kind: fault.Invalid, Msg: "The input of the call cannot be read."}
		}
		return do(ctx, in)
	}}
}

// Call runs one call for an operator. What changes something is on record before
// it takes effect; a call that cannot be recorded is refused.
func (s *Service) Call(ctx context.Context, operator, name string, in json.RawMessage) (any, error) {
	c, ok := s.calls[name]
	if !ok {
		return nil, &fault.Error{Kind: fault.NotFound, Msg: fmt.Sprintf("There is no call %q.", name)}
	}
	if c.operation == "" {
		return c.run(ctx, in)
	}
	entry := s.cfg.Audit.Begin(s.cfg.Now())
	entry.SetOperation(c.operation)
	entry.SetCaller(audit.Claims{UPN: operator})
	ctx = audit.NewContext(ctx, entry)
	if err := entry.Intent(ctx); err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Msg: "The operation cannot be recorded now.", Err: err}
	}
	out, err := c.run(ctx, in)
	outcome := audit.Outcome{Status: 200}
	if err != nil {
		outcome = audit.Outcome{Status: 400, Message: err.Error()}
	}
	if recordErr := entry.Finish(outcome); recordErr != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Msg: "The outcome cannot be recorded; it may have taken effect.", Err: recordErr}
	}
	return out, err
}

// about names the vault of a call in its record.
func about(ctx context.Context, v *vault.Vault) {
	audit.FromContext(ctx).SetVault(v.ResourceID(), "")
}

// regarding names the identity of a call in its record.
func regarding(ctx context.Context, p *identity.Principal) {
	audit.FromContext(ctx).SetObject("identities/" + p.ObjectID)
}
