package admin

import (
	"cmp"
	"context"
	"net/netip"
	"strings"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/fault"
	"coffer/internal/guid"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// The management path of vaults that were made here (contract management.md, 5):
// there is one subscription, and one resource group.
const (
	subscription  = "00000000-0000-0000-0000-000000000000"
	resourceGroup = "local"
)

func (s *Service) createVault(ctx context.Context, g access.Grant, in NewVault) (VaultView, error) {
	fresh := vault.Vault{
		Name: in.Name, TenantID: s.cfg.TenantID, Subscription: subscription, ResourceGroup: resourceGroup,
		Location: in.Location, SKU: vault.SKU(in.SKU), RBAC: in.RBAC,
		RetentionDays: in.RetentionDays, PurgeProtection: in.PurgeProtection,
	}
	if err := vault.ParseName(in.Name); err != nil {
		return VaultView{}, &fault.Error{Kind: fault.Invalid, Field: "name", Msg: err.Error()}
	}
	g.Attempt().ConcernsVault(&fresh)
	// A crash in deleteVault may have left rights on an earlier vault of this name.
	if _, err := s.cfg.Vaults.Get(ctx, in.Name); fault.Is(err, fault.NotFound) {
		if err := s.cfg.Assignments.DropBelow(ctx, fresh.ResourceID()); err != nil {
			return VaultView{}, err
		}
	}
	v, err := s.cfg.Vaults.Create(ctx, fresh)
	if err != nil {
		return VaultView{}, err
	}
	describe(g, v)
	return viewVault(v), nil
}

// describe puts the settings of a vault on record.
func describe(g access.Grant, v *vault.Vault) {
	g.Attempt().Describe(settings(v))
}

func settings(v *vault.Vault) audit.Details {
	network := &audit.NetworkProperties{PublicNetworkAccess: "Enabled", DefaultAction: "Allow", Bypass: "AzureServices", IPRules: v.Network.IPRules}
	if v.Network.PublicAccessDisabled {
		network.PublicNetworkAccess = "Disabled"
	}
	if v.Network.DefaultDeny {
		network.DefaultAction = "Deny"
	}
	if v.Network.BypassNone {
		network.Bypass = "None"
	}
	return audit.Details{
		Vault:   &audit.VaultProperties{SKU: string(v.SKU), AccessPolicies: len(v.AccessPolicies)},
		Network: network, RetentionDays: new(v.RetentionDays), PurgeProtection: new(v.PurgeProtection), RBACAuthorization: new(v.RBAC),
	}
}

func (s *Service) listVaults(ctx context.Context, g access.Grant, _ None) ([]VaultView, error) {
	list, err := s.cfg.Vaults.List(ctx)
	views := []VaultView{}
	for _, v := range list {
		views = append(views, viewVault(v))
	}
	return views, err
}

func (s *Service) showVault(ctx context.Context, g access.Grant, in ByName) (VaultView, error) {
	v, err := s.cfg.Vaults.Get(ctx, in.Name)
	if err != nil {
		return VaultView{}, err
	}
	return viewVault(v), nil
}

func (s *Service) updateVault(ctx context.Context, g access.Grant, in VaultChange) (VaultView, error) {
	return s.change(ctx, g, in.Name, func(v *vault.Vault) error {
		v.RBAC = deref(in.RBAC, v.RBAC)
		v.SKU = vault.SKU(deref(in.SKU, string(v.SKU)))
		v.PurgeProtection = deref(in.PurgeProtection, v.PurgeProtection)
		v.Network.DefaultDeny = deref(in.DefaultDeny, v.Network.DefaultDeny)
		v.Network.PublicAccessDisabled = !deref(in.PublicNetworkAccess, !v.Network.PublicAccessDisabled)
		if in.IPRules != nil {
			for _, r := range *in.IPRules {
				if _, err := netip.ParsePrefix(r); err == nil {
					continue
				}
				if _, err := netip.ParseAddr(r); err != nil {
					return &fault.Error{Kind: fault.Invalid, Field: "ipRules", Msg: "'" + r + "' is not an address or prefix."}
				}
			}
			v.Network.IPRules = *in.IPRules
		}
		return nil
	})
}

func deref[T any](p *T, otherwise T) T {
	if p != nil {
		return *p
	}
	return otherwise
}

func (s *Service) change(ctx context.Context, g access.Grant, name string, change func(*vault.Vault) error) (VaultView, error) {
	v, err := s.cfg.Vaults.Update(ctx, name, func(v *vault.Vault) error {
		g.Attempt().ConcernsVault(v)
		g.Attempt().DescribeBefore(settings(v))
		return change(v)
	})
	if err != nil {
		return VaultView{}, err
	}
	describe(g, v)
	return viewVault(v), nil
}

func (s *Service) deleteVault(ctx context.Context, g access.Grant, in ByName) (None, error) {
	v, err := s.cfg.Vaults.Get(ctx, in.Name)
	if err != nil {
		return None{}, err
	}
	g.Attempt().ConcernsVault(v)
	if err := s.cfg.Vaults.Delete(ctx, in.Name); err != nil {
		return None{}, err
	}
	s.cfg.Forget(v)
	return None{}, s.cfg.Assignments.DropBelow(ctx, v.ResourceID())
}

func (s *Service) setPolicy(ctx context.Context, g access.Grant, in Policy) (VaultView, error) {
	for _, group := range []struct {
		field  string
		family object.Family
		words  []string
	}{
		{"certificates", object.Certificates, in.Certificates}, {"keys", object.Keys, in.Keys}, {"secrets", object.Secrets, in.Secrets},
	} {
		if err := checkWords(group.field, group.family, group.words); err != nil {
			return VaultView{}, err
		}
	}
	id, err := s.objectID(ctx, in.Principal)
	if err != nil {
		return VaultView{}, err
	}
	g.Attempt().Concerns("accessPolicies/" + id)
	return s.change(ctx, g, in.Vault, func(v *vault.Vault) error {
		v.SetPolicy(vault.AccessPolicy{TenantID: v.TenantID, ObjectID: id, ApplicationID: in.ApplicationID,
			Certificates: in.Certificates, Keys: in.Keys, Secrets: in.Secrets})
		return nil
	})
}

// checkWords refuses a permission that no operation asks for: a typing mistake
// would grant nothing and say nothing.
func checkWords(field string, f object.Family, words []string) error {
	known := map[string]bool{"all": true}
	for _, a := range access.Actions() {
		if a.Family() == f {
			for _, w := range a.Permissions() {
				known[strings.ToLower(w)] = true
			}
		}
	}
	for _, w := range words {
		if !known[strings.ToLower(w)] {
			return &fault.Error{Kind: fault.Invalid, Field: field, Msg: "'" + w + "' is not a permission of " + field + "."}
		}
	}
	return nil
}

func (s *Service) removePolicy(ctx context.Context, g access.Grant, in Policy) (VaultView, error) {
	id, err := s.objectID(ctx, in.Principal)
	if err != nil {
		return VaultView{}, err
	}
	g.Attempt().Concerns("accessPolicies/" + id)
	return s.change(ctx, g, in.Vault, func(v *vault.Vault) error {
		if !v.RemovePolicy(id, in.ApplicationID) {
			return &fault.Error{Kind: fault.NotFound, Msg: "The vault has no access policy for " + in.Principal + "."}
		}
		return nil
	})
}

// objectID is the object id that the text means: a principal of the directory,
// or a GUID that only an external issuer knows.
func (s *Service) objectID(ctx context.Context, text string) (string, error) {
	p, err := s.find(ctx, text)
	if err == nil {
		return p.ObjectID, nil
	}
	if id, ok := guid.Parse(text); ok && fault.Is(err, fault.NotFound) {
		return id, nil
	}
	return "", err
}

func (s *Service) assign(ctx context.Context, g access.Grant, in NewAssignment) (AssignmentView, error) {
	principal, err := s.objectID(ctx, in.Principal)
	if err != nil {
		return AssignmentView{}, err
	}
	scope := in.Scope
	if (in.Vault == "") == (scope == "") {
		return AssignmentView{}, &fault.Error{Kind: fault.Invalid, Field: "scope", Msg: "Give either a vault or a scope."}
	}
	if in.Object != "" && in.Vault == "" {
		return AssignmentView{}, &fault.Error{Kind: fault.Invalid, Field: "object", Msg: "An object goes with a vault; a scope names it in its path."}
	}
	if in.Vault != "" {
		v, err := s.cfg.Vaults.Get(ctx, in.Vault)
		if err != nil {
			return AssignmentView{}, err
		}
		g.Attempt().ConcernsVault(v)
		scope = v.ResourceID()
		if in.Object != "" {
			family, name, _ := strings.Cut(in.Object, "/")
			if _, err := object.ParseName(name); err != nil || family != "certificates" && family != "keys" && family != "secrets" {
				return AssignmentView{}, &fault.Error{Kind: fault.Invalid, Field: "object", Msg: "An object is certificates/NAME, keys/NAME or secrets/NAME."}
			}
			scope += "/" + in.Object
		}
	}
	id := guid.New()
	g.Attempt().Concerns("roleAssignments/" + id)
	a, err := s.cfg.Assignments.Assign(ctx, id, in.Role, principal, scope, in.Condition)
	return viewAssignment(a), err
}

func viewAssignment(a access.Assignment) AssignmentView {
	name := a.RoleID
	if r, ok := access.RoleByID(a.RoleID); ok {
		name = r.Name
	}
	return AssignmentView{ID: a.ID, Role: name, Principal: a.PrincipalID, Scope: a.Scope, Condition: a.Condition}
}

func (s *Service) unassign(ctx context.Context, g access.Grant, in ByID) (None, error) {
	if id, ok := guid.Parse(in.ID); ok {
		g.Attempt().Concerns("roleAssignments/" + id)
	}
	return None{}, s.cfg.Assignments.Unassign(ctx, in.ID)
}

func (s *Service) assignments(ctx context.Context, g access.Grant, in ByName) ([]AssignmentView, error) {
	base := ""
	if in.Name != "" {
		v, err := s.cfg.Vaults.Get(ctx, in.Name)
		if err != nil {
			return nil, err
		}
		base = strings.ToLower(v.ResourceID())
	}
	list, err := s.cfg.Assignments.List(ctx)
	views := []AssignmentView{}
	for _, a := range list {
		scope := strings.ToLower(cmp.Or(strings.TrimSuffix(a.Scope, "/"), "/"))
		if base == "" || scope == "/" || scope == base || strings.HasPrefix(base, scope+"/") || strings.HasPrefix(scope, base+"/") {
			views = append(views, viewAssignment(a))
		}
	}
	return views, err
}
