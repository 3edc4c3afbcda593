package vault

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// Vault is one vault with its settings. It is a value: a copy may be kept and
// read without locks; Revision tells which state it shows.
type Vault struct {
	ID            object.VaultID
	Name          string // 3 to 24 of 0-9 a-z A-Z -; the first label of its host name; compared without case
	TenantID      string // GUID; callers of other tenants are refused
	Subscription  string // GUID; part of the resource id
	ResourceGroup string
	Location      string // shown in x-ms-keyvault-region and in refusals
	SKU           SKU

	RBAC           bool           // true: role assignments decide; false: AccessPolicies decide
	AccessPolicies []AccessPolicy // at most MaxAccessPolicies

	RetentionDays   int // 7 to 90; fixed at creation
	PurgeProtection bool

	Network NetworkRules
	Tags    map[string]string

	Created  time.Time
	Updated  time.Time
	Revision int64 // grows with every change of the settings
}

// SKU is what kinds of key the vault may hold.
type SKU string

// The SKUs. Only a premium vault accepts HSM key types.
const (
	Standard SKU = "standard"
	Premium  SKU = "premium"
)

// AccessPolicy grants permission words to one identity on the whole vault
// (contract access-control.md, 5).
type AccessPolicy struct {
	TenantID      string
	ObjectID      string
	ApplicationID string // "" unless the grant is for a user through this application only
	Certificates  []string
	Keys          []string
	Secrets       []string
	Storage       []string
}

// MaxAccessPolicies is how many entries one vault can have.
const MaxAccessPolicies = 1024

// NetworkRules is the vault's firewall (contract access-control.md, 8).
type NetworkRules struct {
	PublicAccessDisabled bool
	DefaultDeny          bool     // only addresses of IPRules pass
	IPRules              []string // addresses or CIDR prefixes
	BypassNone           bool     // trusted callers are not let past the rules
}

// Bounds of a vault's settings (contract management.md, 5; certificates.md, 13.2).
const (
	MinRetentionDays     = 7
	MaxRetentionDays     = 90
	DefaultRetentionDays = 90
	DefaultLocation      = "local"
)

// Key is the canonical form of the vault's name.
func (v *Vault) Key() string { return strings.ToLower(v.Name) }

// ResourceID is the vault's path in the management plane, in its shown casing.
func (v *Vault) ResourceID() string {
	return "/subscriptions/" + v.Subscription + "/resourceGroups/" + v.ResourceGroup +
		"/providers/Microsoft.KeyVault/vaults/" + v.Name
}

// MayPurge refuses a purge where purge protection leaves it to the end of the
// retention (contract certificates.md, 13.3).
func (v *Vault) MayPurge() error {
	if !v.PurgeProtection {
		return nil
	}
	return &fault.Error{Kind: fault.Forbidden, Msg: "Operation \"purge\" is not allowed because purge protection is enabled for this vault." +
		" Key Vault service will automatically purge it after the retention period has passed.\r\nVault: " + v.Name + ";location=" + v.Location}
}

// RecoveryLevel is the word that attributes show (contract certificates.md, 13.3).
func (v *Vault) RecoveryLevel() string {
	level := "Recoverable"
	if v.RetentionDays < MaxRetentionDays {
		level = "CustomizedRecoverable"
	}
	if !v.PurgeProtection {
		level += "+Purgeable"
	}
	return level
}

// Deletion is what deleting an object now means for it.
func (v *Vault) Deletion(now time.Time) *object.Deletion {
	at := object.Second(now)
	return &object.Deletion{At: at, PurgeAt: at.Add(time.Duration(v.RetentionDays) * 24 * time.Hour)}
}

var errName = errors.New("a vault name has 3 to 24 letters, digits and single hyphens, begins with a letter and does not end with a hyphen")

// ParseName checks a vault name: 3 to 24 characters, letters, digits and single
// hyphens, beginning with a letter and not ending with a hyphen.
func ParseName(s string) error {
	if len(s) < 3 || len(s) > 24 || strings.Contains(s, "--") || strings.HasSuffix(s, "-") {
		return errName
	}
	for i := range len(s) {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z'
		digit := s[i] >= '0' && s[i] <= '9'
		if !(letter || i > 0 && (digit || s[i] == '-')) {
			return errName
		}
	}
	return nil
}

// Check reports every setting that is out of bounds.
func (v *Vault) Check() error {
	var errs []error
	if err := ParseName(v.Name); err != nil {
		errs = append(errs, err)
	}
	if v.RetentionDays < MinRetentionDays || v.RetentionDays > MaxRetentionDays {
		errs = append(errs, fmt.Errorf("retention is %d to %d days", MinRetentionDays, MaxRetentionDays))
	}
	if v.SKU != Standard && v.SKU != Premium {
		errs = append(errs, fmt.Errorf("sku is %q or %q", Standard, Premium))
	}
	if len(v.AccessPolicies) > MaxAccessPolicies {
		errs = append(errs, fmt.Errorf("a vault has at most %d access policies", MaxAccessPolicies))
	}
	return errors.Join(errs...)
}
