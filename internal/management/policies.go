package management

import (
	"context"
	"slices"
	"strings"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/spelling"
	"coffer/internal/vault"
)

// SetAccessPolicy adds an access policy to the vault that the grant is for, or
// replaces that of the same identity. The tenant is the vault's.
func (s *Service) SetAccessPolicy(ctx context.Context, g access.Grant, p vault.AccessPolicy) (*vault.Vault, error) {
	g.Must(access.AccessPolicySet)
	if err := checkPolicy(p); err != nil {
		return nil, err
	}
	g.Attempt().Concerns("accessPolicies/" + p.ObjectID)
	return s.change(ctx, g, func(v *vault.Vault) error {
		g.Attempt().DescribeBefore(policyOf(v, p.ObjectID, p.ApplicationID))
		p.TenantID = v.TenantID
		v.SetPolicy(p)
		g.Attempt().Describe(policyOf(v, p.ObjectID, p.ApplicationID))
		return nil
	})
}

// RemoveAccessPolicy takes the access policy of an identity away; a *fault.Error of
// kind NotFound when it has none.
func (s *Service) RemoveAccessPolicy(ctx context.Context, g access.Grant, objectID, applicationID string) (*vault.Vault, error) {
	g.Must(access.AccessPolicyRemove)
	g.Attempt().Concerns("accessPolicies/" + objectID)
	return s.change(ctx, g, func(v *vault.Vault) error {
		g.Attempt().DescribeBefore(policyOf(v, objectID, applicationID))
		if !v.RemovePolicy(objectID, applicationID) {
			return &fault.Error{Kind: fault.NotFound, Msg: "The vault has no access policy for " + objectID + "."}
		}
		return nil
	})
}

// checkPolicy refuses a permission that no operation asks for: a typing mistake
// would grant nothing and say nothing.
func checkPolicy(p vault.AccessPolicy) error {
	for _, group := range []struct {
		family object.Family
		words  []string
	}{{object.Certificates, p.Certificates}, {object.Keys, p.Keys}, {object.Secrets, p.Secrets}} {
		known := []string{"all"}
		for _, a := range access.Actions() {
			if a.Family() == group.family {
				for _, w := range a.Permissions() {
					known = append(known, strings.ToLower(w))
				}
			}
		}
		for _, w := range group.words {
			if !slices.Contains(known, strings.ToLower(w)) {
				field := string(group.family)
				return &fault.Error{Kind: fault.Invalid, Field: field, Msg: "'" + w + "' is not a permission of " + field + "." + spelling.Suggest(w, known)}
			}
		}
	}
	return nil
}
