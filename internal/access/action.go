package access

import (
	"slices"

	"coffer/internal/object"
)

// Action is one thing that can be attempted: on the data plane, one row of contract
// access-control.md, 4. The zero Action is none.
type Action uint8

// The actions on certificates, their policies, operations, contacts and issuers.
const (
	CertificateCreate Action = iota + 1
	CertificateImport
	CertificateGet
	CertificateList
	CertificateListVersions
	CertificateUpdate
	CertificateDelete
	CertificateGetDeleted
	CertificateListDeleted
	CertificateRecover
	CertificatePurge
	CertificateBackup
	CertificateRestore
	CertificatePolicyGet
	CertificatePolicyUpdate
	CertificatePendingGet
	CertificatePendingUpdate
	CertificatePendingDelete
	CertificatePendingMerge
	CertificateContactsGet
	CertificateContactsSet
	CertificateContactsDelete
	CertificateIssuersList
	CertificateIssuerGet
	CertificateIssuerSet
	CertificateIssuerUpdate
	CertificateIssuerDelete
)

// The actions on keys.
const (
	KeyCreate Action = iota + 64
	KeyImport
	KeyGet
	KeyGetAttestation
	KeyList
	KeyListVersions
	KeyUpdate
	KeyRotate
	KeyRotationPolicyGet
	KeyRotationPolicySet
	KeyDelete
	KeyGetDeleted
	KeyListDeleted
	KeyRecover
	KeyPurge
	KeyBackup
	KeyRestore
	KeyEncrypt
	KeyDecrypt
	KeyWrap
	KeyUnwrap
	KeySecureWrap
	KeySecureUnwrap
	KeySign
	KeyVerify
	KeyRelease
	KeyGetRandomBytes
)

// The actions on secrets.
const (
	SecretGet Action = iota + 128
	SecretList
	SecretListVersions
	SecretSet
	SecretUpdate
	SecretDelete
	SecretGetDeleted
	SecretListDeleted
	SecretRecover
	SecretPurge
	SecretBackup
	SecretRestore
)

// The vault's own work. No permission covers it: only [Background] attempts it.
const (
	CertificateEnroll Action = iota + 192
	CertificateRenew
	KeyRotateIfDue
	CertificatePurgeDue
	KeyPurgeDue
	SecretPurgeDue
	TokenRefuse // the built-in token service said no
	DataKeyReplace
	DataKeyDestroy
	TokenIssue // it gave a token
)

// The actions of the management plane.
const (
	VaultList Action = iota + 208
	VaultGet
	VaultCreate
	VaultUpdate
	VaultDelete
	AccessPolicySet
	AccessPolicyRemove
	RoleAssignmentList
	RoleAssignmentCreate
	RoleAssignmentDelete
	PrincipalList
	PrincipalGet
	PrincipalCreate
	PrincipalEnable
	PrincipalDisable
	PrincipalDelete
	CredentialAdd
	CredentialRemove
	MemberAdd
	MemberRemove
	RootKeyRotate
	InstallationBackup
	JobList
	JobRetry
	AuditRead // how far the audit log goes
	HealthRead
	DataKeyRotate
	DataKeyRead
	PrincipalRevoke // the tokens that a principal has
	CARead          // the listener's own CA
	CARotate
	CASwitch
	CARetire
	TokenKeyList // the keys that sign tokens
	TokenKeyRotate
	TokenKeyRevoke
)

// plane is whose rules decide about an action.
type plane uint8

const (
	noPlane         plane = iota
	dataPlane             // access policies, or data actions of roles
	managementPlane       // actions of roles; the operator of the machine may do all
	ownWork               // nobody but the vault itself
)

// row is what is known of an action.
type row struct {
	plane       plane
	operation   string
	family      object.Family // of the data plane and of own work
	permissions []string      // words of an access policy, any suffices
	action      string        // what a role must allow; "" for own work
	onObject    bool
	durable     bool
	publicData  string // data action that suffices with the public half of a key; "" if none
}

// Operation is the name in the audit record (contract observability.md, 2).
func (a Action) Operation() string { return rows[a].operation }

// Family is the kind of object whose permissions count; "" on the management plane.
func (a Action) Family() object.Family { return rows[a].family }

// Permissions are the words of an access policy of which any suffices. The first
// is named in refusals.
func (a Action) Permissions() []string { return slices.Clone(rows[a].permissions) }

// dataPrefix begins every data action.
const dataPrefix = "Microsoft.KeyVault/vaults/"

// DataAction is the data action that a role must allow; "" outside of the data
// plane.
func (a Action) DataAction() string {
	if rows[a].plane != dataPlane {
		return ""
	}
	return rows[a].action
}

// OnObject tells whether roles are asked about the object; else about the vault.
func (a Action) OnObject() bool { return rows[a].onObject }

// Durable tells whether the action changes state, reveals a secret or signs, so that
// its intent must be on record, durably, before it has an effect.
func (a Action) Durable() bool { return rows[a].durable }

// Irrevocable tells whether the action cannot be taken back: who may do it, and whether
// the vault allows it, is read anew from the database.
func (a Action) Irrevocable() bool {
	switch a {
	case CertificatePurge, KeyPurge, SecretPurge, VaultDelete:
		return true
	}
	return false
}

// String is the operation's name.
func (a Action) String() string { return rows[a].operation }

// Actions returns every action of the data plane that a caller can ask for, in
// the order of the contract's tables.
func Actions() []Action {
	var all []Action
	for i, r := range rows {
		if r.plane == dataPlane {
			all = append(all, Action(i))
		}
	}
	return all
}
