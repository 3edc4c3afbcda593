package vault

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// New is a vault as it begins. Zero fields take the defaults: 90 days of retention,
// the standard SKU, location "local". The error is a *fault.Error of kind Invalid
// that names every setting out of bounds.
func New(v Vault, now time.Time) (*Vault, error) {
	now = object.Second(now)
	v.ID, v.Created, v.Updated, v.Revision = object.NewVaultID(), now, now, 1
	v.RetentionDays = cmp.Or(v.RetentionDays, DefaultRetentionDays)
	v.SKU = cmp.Or(v.SKU, Standard)
	v.Location = cmp.Or(v.Location, DefaultLocation)
	if err := v.Check(); err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Field: "properties", Msg: err.Error()}
	}
	return &v, nil
}

// Changed is the vault after a change of its settings; change gets a copy. What is
// fixed at creation stays, and purge protection cannot be switched off (contract
// management.md, 4).
func (v *Vault) Changed(now time.Time, change func(*Vault) error) (*Vault, error) {
	next := *v
	next.AccessPolicies = slices.Clone(v.AccessPolicies)
	if err := change(&next); err != nil {
		return nil, err
	}
	if v.PurgeProtection && !next.PurgeProtection {
		return nil, &fault.Error{Kind: fault.Invalid, Field: "enablePurgeProtection", Msg: "Purge protection cannot be switched off."}
	}
	if next.RetentionDays != v.RetentionDays {
		return nil, &fault.Error{Kind: fault.Invalid, Field: "softDeleteRetentionInDays", Msg: "The retention of a vault is fixed at its creation."}
	}
	next.ID, next.Name, next.TenantID, next.Created = v.ID, v.Name, v.TenantID, v.Created
	next.Subscription, next.ResourceGroup = v.Subscription, v.ResourceGroup
	next.Revision, next.Updated = v.Revision+1, object.Second(now)
	if err := next.Check(); err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Field: "properties", Msg: err.Error()}
	}
	return &next, nil
}

// SetPolicy adds an access policy, or replaces that of the same identity.
func (v *Vault) SetPolicy(p AccessPolicy) {
	v.RemovePolicy(p.ObjectID, p.ApplicationID)
	v.AccessPolicies = append(v.AccessPolicies, p)
}

// RemovePolicy removes the access policy of an identity and reports whether there
// was one.
func (v *Vault) RemovePolicy(objectID, applicationID string) bool {
	n := len(v.AccessPolicies)
	v.AccessPolicies = slices.DeleteFunc(v.AccessPolicies, func(e AccessPolicy) bool {
		return strings.EqualFold(e.ObjectID, objectID) && strings.EqualFold(e.ApplicationID, applicationID)
	})
	return len(v.AccessPolicies) < n
}
