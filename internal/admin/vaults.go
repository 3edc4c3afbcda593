package admin

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/guid"
	"coffer/internal/management"
	"coffer/internal/vault"
)

// onVault is the target of a call on one vault.
func onVault(name string) (access.Target, error) {
	return access.Target{Resource: management.VaultID(name)}, nil
}

func (in ByName) target(context.Context, *Service) (access.Target, error) { return onVault(in.Name) }

func (in NewVault) target(context.Context, *Service) (access.Target, error) { return onVault(in.Name) }

func (in VaultChange) target(context.Context, *Service) (access.Target, error) {
	return onVault(in.Name)
}

func (in Policy) target(context.Context, *Service) (access.Target, error) { return onVault(in.Vault) }

func (s *Service) createVault(ctx context.Context, g access.Grant, in NewVault) (VaultView, error) {
	return s.viewed(s.cfg.Management.CreateVault(ctx, g, management.NewVault{
		Location: in.Location, SKU: vault.SKU(in.SKU), RBAC: in.RBAC, RetentionDays: in.RetentionDays, PurgeProtection: in.PurgeProtection,
	}))
}

func (s *Service) viewed(v *vault.Vault, err error) (VaultView, error) {
	if err != nil {
		return VaultView{}, err
	}
	return s.viewVault(v), nil
}

func (s *Service) listVaults(ctx context.Context, g access.Grant, _ None) ([]VaultView, error) {
	list, err := s.cfg.Management.Vaults(ctx, g)
	views := []VaultView{}
	for _, v := range list {
		views = append(views, s.viewVault(v))
	}
	return views, err
}

func (s *Service) showVault(ctx context.Context, g access.Grant, _ ByName) (VaultView, error) {
	return s.viewed(s.cfg.Management.Vault(ctx, g))
}

func (s *Service) updateVault(ctx context.Context, g access.Grant, in VaultChange) (VaultView, error) {
	return s.viewed(s.cfg.Management.UpdateVault(ctx, g, management.VaultChange{
		SKU: (*vault.SKU)(in.SKU), RBAC: in.RBAC, PurgeProtection: in.PurgeProtection,
		PublicNetworkAccess: in.PublicNetworkAccess, DefaultDeny: in.DefaultDeny, IPRules: in.IPRules,
	}))
}

func (s *Service) deleteVault(ctx context.Context, g access.Grant, _ ByName) (None, error) {
	return None{}, s.cfg.Management.DeleteVault(ctx, g)
}

func (s *Service) setPolicy(ctx context.Context, g access.Grant, in Policy) (VaultView, error) {
	id, err := s.objectID(ctx, in.Principal)
	if err != nil {
		return VaultView{}, err
	}
	return s.viewed(s.cfg.Management.SetAccessPolicy(ctx, g, vault.AccessPolicy{
		ObjectID: id, ApplicationID: in.ApplicationID, Certificates: in.Certificates, Keys: in.Keys, Secrets: in.Secrets,
	}))
}

func (s *Service) removePolicy(ctx context.Context, g access.Grant, in Policy) (VaultView, error) {
	id, err := s.objectID(ctx, in.Principal)
	if err != nil {
		return VaultView{}, err
	}
	return s.viewed(s.cfg.Management.RemoveAccessPolicy(ctx, g, id, in.ApplicationID))
}

// objectID is the object id that the text means: a principal of the directory,
// or a GUID that only an external issuer knows.
func (s *Service) objectID(ctx context.Context, text string) (string, error) {
	p, err := s.cfg.Directory.Resolve(ctx, text)
	if err == nil {
		return p.ObjectID, nil
	}
	if id, ok := guid.Parse(text); ok && fault.Is(err, fault.NotFound) {
		return id, nil
	}
	return "", err
}

// target is the scope at which the role is to be given, and to whom.
func (in NewAssignment) target(ctx context.Context, s *Service) (access.Target, error) {
	principal, err := s.objectID(ctx, in.Principal)
	if err != nil {
		return access.Target{}, err
	}
	if (in.Vault == "") == (in.Scope == "") {
		return access.Target{}, &fault.Error{Kind: fault.Invalid, Field: "scope", Msg: "Give either a vault or a scope."}
	}
	if in.Object != "" && in.Vault == "" {
		return access.Target{}, &fault.Error{Kind: fault.Invalid, Field: "object", Msg: "An object goes with a vault; a scope names it in its path."}
	}
	scope := in.Scope
	if in.Vault != "" {
		scope = management.VaultID(in.Vault)
		if in.Object != "" {
			if scope, err = management.ObjectID(scope, in.Object); err != nil {
				return access.Target{}, err
			}
		}
	}
	return access.Target{Resource: scope, Assignment: access.Assignment{ID: guid.New(), PrincipalID: principal, Condition: in.Condition}}, nil
}

func (s *Service) assign(ctx context.Context, g access.Grant, in NewAssignment) (AssignmentView, error) {
	a, err := s.cfg.Management.Assign(ctx, g, in.Role)
	return viewAssignment(a), err
}

func viewAssignment(a access.Assignment) AssignmentView {
	name := a.RoleID
	if r, ok := access.RoleByID(a.RoleID); ok {
		name = r.Name
	}
	return AssignmentView{ID: a.ID, Role: name, Principal: a.PrincipalID, Scope: a.Scope, Condition: a.Condition}
}

// assignment is the target of taking a role away, wherever it was given.
func (in ByID) assignment(context.Context, *Service) (access.Target, error) {
	id := in.ID
	if canonical, ok := guid.Parse(id); ok {
		id = canonical
	}
	return access.Target{Resource: access.Everywhere, Assignment: access.Assignment{ID: id}}, nil
}

// scope is a vault, or everything.
func (in ByName) scope(context.Context, *Service) (access.Target, error) {
	if in.Name == "" {
		return access.Target{Resource: access.Everywhere}, nil
	}
	return onVault(in.Name)
}

func (s *Service) unassign(ctx context.Context, g access.Grant, _ ByID) (None, error) {
	return None{}, s.cfg.Management.Unassign(ctx, g)
}

func (s *Service) assignments(ctx context.Context, g access.Grant, _ ByName) ([]AssignmentView, error) {
	list, err := s.cfg.Management.Assignments(ctx, g)
	views := []AssignmentView{}
	for _, a := range list {
		views = append(views, viewAssignment(a))
	}
	return views, err
}
