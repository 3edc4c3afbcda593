package access

import "coffer/internal/object"

// Shorthand of the table below.
const (
	certs   = object.Certificates
	keys    = object.Keys
	secrets = object.Secrets

	vaultWide = false // target: the vault
	onObject  = true  // target: the object, never a version of it

	reads = false // can be done again, or not, without anybody's loss
	acts  = true  // changes state, reveals a secret, or signs
)

func words(w ...string) []string { return w }

// rows are contract access-control.md, 4.1 to 4.3. Listing issuers accepts
// getissuers as well, since descriptions and documents disagree (note to 4.1).
// Encrypting, wrapping and verifying need only the public half of an asymmetric
// key, which keys/read gives to a role anyway (note to 4.2). Signing acts: what is
// signed binds the key's owner for ever, so that its record outlives a loss of power.
var rows = [256]row{
	CertificateCreate:         dataRow("CertificateCreate", certs, words("create"), "certificates/create/action", onObject, acts, ""),
	CertificateImport:         dataRow("CertificateImport", certs, words("import"), "certificates/import/action", onObject, acts, ""),
	CertificateGet:            dataRow("CertificateGet", certs, words("get"), "certificates/read", onObject, reads, ""),
	CertificateList:           dataRow("CertificateList", certs, words("list"), "certificates/read", vaultWide, reads, ""),
	CertificateListVersions:   dataRow("CertificateListVersions", certs, words("list"), "certificates/read", onObject, reads, ""),
	CertificateUpdate:         dataRow("CertificateUpdate", certs, words("update"), "certificates/update/action", onObject, acts, ""),
	CertificateDelete:         dataRow("CertificateDelete", certs, words("delete"), "certificates/delete", onObject, acts, ""),
	CertificateGetDeleted:     dataRow("CertificateGetDeleted", certs, words("get"), "certificates/read", onObject, reads, ""),
	CertificateListDeleted:    dataRow("CertificateListDeleted", certs, words("list"), "certificates/read", vaultWide, reads, ""),
	CertificateRecover:        dataRow("CertificateRecover", certs, words("recover"), "certificates/recover/action", onObject, acts, ""),
	CertificatePurge:          dataRow("CertificatePurge", certs, words("purge"), "certificates/purge/action", onObject, acts, ""),
	CertificateBackup:         dataRow("CertificateBackup", certs, words("backup"), "certificates/backup/action", onObject, acts, ""),
	CertificateRestore:        dataRow("CertificateRestore", certs, words("restore"), "certificates/restore/action", onObject, acts, ""),
	CertificatePolicyGet:      dataRow("CertificatePolicyGet", certs, words("get"), "certificates/read", onObject, reads, ""),
	CertificatePolicyUpdate:   dataRow("CertificatePolicyUpdate", certs, words("update"), "certificates/update/action", onObject, acts, ""),
	CertificatePendingGet:     dataRow("CertificatePendingGet", certs, words("get"), "certificates/read", onObject, reads, ""),
	CertificatePendingUpdate:  dataRow("CertificatePendingUpdate", certs, words("update"), "certificates/update/action", onObject, acts, ""),
	CertificatePendingDelete:  dataRow("CertificatePendingDelete", certs, words("update"), "certificates/update/action", onObject, acts, ""),
	CertificatePendingMerge:   dataRow("CertificatePendingMerge", certs, words("create"), "certificates/create/action", onObject, acts, ""),
	CertificateContactsGet:    dataRow("CertificateContactsGet", certs, words("managecontacts"), "certificatecontacts/write", vaultWide, reads, ""),
	CertificateContactsSet:    dataRow("CertificateContactsSet", certs, words("managecontacts"), "certificatecontacts/write", vaultWide, acts, ""),
	CertificateContactsDelete: dataRow("CertificateContactsDelete", certs, words("managecontacts"), "certificatecontacts/write", vaultWide, acts, ""),
	CertificateIssuersList:    dataRow("CertificateIssuersList", certs, words("listissuers", "manageissuers", "getissuers"), "certificatecas/read", vaultWide, reads, ""),
	CertificateIssuerGet:      dataRow("CertificateIssuerGet", certs, words("getissuers", "manageissuers"), "certificatecas/read", vaultWide, reads, ""),
	CertificateIssuerSet:      dataRow("CertificateIssuerSet", certs, words("setissuers", "manageissuers"), "certificatecas/write", vaultWide, acts, ""),
	CertificateIssuerUpdate:   dataRow("CertificateIssuerUpdate", certs, words("setissuers", "manageissuers"), "certificatecas/write", vaultWide, acts, ""),
	CertificateIssuerDelete:   dataRow("CertificateIssuerDelete", certs, words("deleteissuers", "manageissuers"), "certificatecas/delete", vaultWide, acts, ""),

	KeyCreate:            dataRow("KeyCreate", keys, words("create"), "keys/create/action", onObject, acts, ""),
	KeyImport:            dataRow("KeyImport", keys, words("import"), "keys/import/action", onObject, acts, ""),
	KeyGet:               dataRow("KeyGet", keys, words("get"), "keys/read", onObject, reads, ""),
	KeyGetAttestation:    dataRow("KeyGetAttestation", keys, words("get"), "keys/read", onObject, reads, ""),
	KeyList:              dataRow("KeyList", keys, words("list"), "keys/read", vaultWide, reads, ""),
	KeyListVersions:      dataRow("KeyListVersions", keys, words("list"), "keys/read", onObject, reads, ""),
	KeyUpdate:            dataRow("KeyUpdate", keys, words("update"), "keys/update/action", onObject, acts, ""),
	KeyRotate:            dataRow("KeyRotate", keys, words("rotate"), "keys/rotate/action", onObject, acts, ""),
	KeyRotationPolicyGet: dataRow("KeyRotationPolicyGet", keys, words("getrotationpolicy"), "keyrotationpolicies/read", onObject, reads, ""),
	KeyRotationPolicySet: dataRow("KeyRotationPolicySet", keys, words("setrotationpolicy"), "keyrotationpolicies/write", onObject, acts, ""),
	KeyDelete:            dataRow("KeyDelete", keys, words("delete"), "keys/delete", onObject, acts, ""),
	KeyGetDeleted:        dataRow("KeyGetDeleted", keys, words("get"), "keys/read", onObject, reads, ""),
	KeyListDeleted:       dataRow("KeyListDeleted", keys, words("list"), "keys/read", vaultWide, reads, ""),
	KeyRecover:           dataRow("KeyRecover", keys, words("recover"), "keys/recover/action", onObject, acts, ""),
	KeyPurge:             dataRow("KeyPurge", keys, words("purge"), "keys/purge/action", onObject, acts, ""),
	KeyBackup:            dataRow("KeyBackup", keys, words("backup"), "keys/backup/action", onObject, acts, ""),
	KeyRestore:           dataRow("KeyRestore", keys, words("restore"), "keys/restore/action", onObject, acts, ""),
	KeyEncrypt:           dataRow("KeyEncrypt", keys, words("encrypt"), "keys/encrypt/action", onObject, reads, "keys/read"),
	KeyDecrypt:           dataRow("KeyDecrypt", keys, words("decrypt"), "keys/decrypt/action", onObject, acts, ""),
	KeyWrap:              dataRow("KeyWrap", keys, words("wrapKey"), "keys/wrap/action", onObject, reads, "keys/read"),
	KeyUnwrap:            dataRow("KeyUnwrap", keys, words("unwrapKey"), "keys/unwrap/action", onObject, acts, ""),
	KeySecureWrap:        dataRow("KeyWrap", keys, words("wrapKey"), "keys/wrap/action", onObject, reads, ""),
	KeySecureUnwrap:      dataRow("KeyUnwrap", keys, words("unwrapKey"), "keys/unwrap/action", onObject, acts, ""),
	KeySign:              dataRow("KeySign", keys, words("sign"), "keys/sign/action", onObject, acts, ""),
	KeyVerify:            dataRow("KeyVerify", keys, words("verify"), "keys/verify/action", onObject, reads, "keys/read"),
	KeyRelease:           dataRow("KeyRelease", keys, words("release"), "keys/release/action", onObject, acts, ""),
	KeyGetRandomBytes:    dataRow("KeyGetRandomBytes", keys, words("get"), "keys/read", vaultWide, reads, ""), // contract keys.md, 7

	SecretGet:          dataRow("SecretGet", secrets, words("get"), "secrets/getSecret/action", onObject, acts, ""),
	SecretList:         dataRow("SecretList", secrets, words("list"), "secrets/readMetadata/action", vaultWide, reads, ""),
	SecretListVersions: dataRow("SecretListVersions", secrets, words("list"), "secrets/readMetadata/action", onObject, reads, ""),
	SecretSet:          dataRow("SecretSet", secrets, words("set"), "secrets/setSecret/action", onObject, acts, ""),
	SecretUpdate:       dataRow("SecretUpdate", secrets, words("set"), "secrets/update/action", onObject, acts, ""),
	SecretDelete:       dataRow("SecretDelete", secrets, words("delete"), "secrets/delete", onObject, acts, ""),
	SecretGetDeleted:   dataRow("SecretGetDeleted", secrets, words("get"), "secrets/readMetadata/action", onObject, reads, ""),
	SecretListDeleted:  dataRow("SecretListDeleted", secrets, words("list"), "secrets/readMetadata/action", vaultWide, reads, ""),
	SecretRecover:      dataRow("SecretRecover", secrets, words("recover"), "secrets/recover/action", onObject, acts, ""),
	SecretPurge:        dataRow("SecretPurge", secrets, words("purge"), "secrets/purge/action", onObject, acts, ""),
	SecretBackup:       dataRow("SecretBackup", secrets, words("backup"), "secrets/backup/action", onObject, acts, ""),
	SecretRestore:      dataRow("SecretRestore", secrets, words("restore"), "secrets/restore/action", onObject, acts, ""),

	CertificateEnroll:   ownRow("CertificateEnroll", certs),
	CertificateRenew:    ownRow("CertificateRenew", certs),
	KeyRotateIfDue:      ownRow("KeyRotateIfDue", keys),
	CertificatePurgeDue: ownRow("CertificatePurge", certs),
	KeyPurgeDue:         ownRow("KeyPurge", keys),
	SecretPurgeDue:      ownRow("SecretPurge", secrets),
	TokenRefuse:         ownRow("IdentityTokenRefused", ""),
	DataKeyReplace:      ownRow("VaultDataKeyReplace", ""),
	DataKeyDestroy:      ownRow("VaultDataKeyDestroy", ""),
	TokenIssue:          ownRow("IdentityTokenIssued", ""),

	VaultList:            managementRow("VaultList", "Microsoft.KeyVault/vaults/read", reads),
	VaultGet:             managementRow("VaultGet", "Microsoft.KeyVault/vaults/read", reads),
	VaultCreate:          managementRow("VaultPut", "Microsoft.KeyVault/vaults/write", acts),
	VaultUpdate:          managementRow("VaultPatch", "Microsoft.KeyVault/vaults/write", acts),
	VaultDelete:          managementRow("VaultDelete", "Microsoft.KeyVault/vaults/delete", acts),
	AccessPolicySet:      managementRow("VaultAccessPolicyChanged", "Microsoft.KeyVault/vaults/accessPolicies/write", acts),
	AccessPolicyRemove:   managementRow("VaultAccessPolicyChanged", "Microsoft.KeyVault/vaults/accessPolicies/write", acts),
	RoleAssignmentList:   managementRow("VaultRoleAssignmentList", "Microsoft.Authorization/roleAssignments/read", reads),
	RoleAssignmentCreate: managementRow("VaultRoleAssignmentPut", assignmentWrite, acts),
	RoleAssignmentDelete: managementRow("VaultRoleAssignmentDelete", "Microsoft.Authorization/roleAssignments/delete", acts),
	PrincipalList:        managementRow("IdentityPrincipalList", "Coffer.Directory/principals/read", reads),
	PrincipalGet:         managementRow("IdentityPrincipalGet", "Coffer.Directory/principals/read", reads),
	PrincipalCreate:      managementRow("IdentityPrincipalPut", "Coffer.Directory/principals/write", acts),
	PrincipalEnable:      managementRow("IdentityPrincipalEnable", "Coffer.Directory/principals/write", acts),
	PrincipalDisable:     managementRow("IdentityPrincipalDisable", "Coffer.Directory/principals/write", acts),
	PrincipalDelete:      managementRow("IdentityPrincipalDelete", "Coffer.Directory/principals/delete", acts),
	CredentialAdd:        managementRow("IdentityCredentialPut", "Coffer.Directory/principals/credentials/write", acts),
	CredentialRemove:     managementRow("IdentityCredentialDelete", "Coffer.Directory/principals/credentials/delete", acts),
	MemberAdd:            managementRow("IdentityMemberPut", "Coffer.Directory/groups/members/write", acts),
	MemberRemove:         managementRow("IdentityMemberDelete", "Coffer.Directory/groups/members/delete", acts),
	RootKeyRotate:        managementRow("VaultRootKeyRotate", "Coffer.Installation/rootKey/rotate/action", acts),
	InstallationBackup:   managementRow("VaultBackup", "Coffer.Installation/backup/action", acts),
	JobList:              managementRow("VaultJobList", "Coffer.Installation/jobs/read", reads),
	JobRetry:             managementRow("VaultJobRetry", "Coffer.Installation/jobs/retry/action", acts),
	AuditRead:            managementRow("VaultAuditRead", "Coffer.Installation/audit/read", reads),
	HealthRead:           managementRow("VaultHealthRead", "Coffer.Installation/health/read", reads),
	DataKeyRotate:        managementRow("VaultDataKeyRotate", "Coffer.Installation/dataKeys/rotate/action", acts),
	DataKeyRead:          managementRow("VaultDataKeyRead", "Coffer.Installation/dataKeys/read", reads),
	PrincipalRevoke:      managementRow("IdentityPrincipalRevoke", "Coffer.Directory/principals/write", acts),
	CARead:               managementRow("VaultTLSCARead", "Coffer.Installation/ca/read", reads),
	CARotate:             managementRow("VaultTLSCARotate", "Coffer.Installation/ca/rotate/action", acts),
	CASwitch:             managementRow("VaultTLSCASwitch", "Coffer.Installation/ca/switch/action", acts),
	CARetire:             managementRow("VaultTLSCARetire", "Coffer.Installation/ca/retire/action", acts),
	TokenKeyList:         managementRow("IdentityTokenKeyList", "Coffer.Directory/tokenKeys/read", reads),
	TokenKeyRotate:       managementRow("IdentityTokenKeyRotate", "Coffer.Directory/tokenKeys/rotate/action", acts),
	TokenKeyRevoke:       managementRow("IdentityTokenKeyRevoke", "Coffer.Directory/tokenKeys/revoke/action", acts),
}

// dataRow is a row of the contract's tables.
func dataRow(operation string, f object.Family, permissions []string, action string, onObject, durable bool, publicData string) row {
	return row{plane: dataPlane, operation: operation, family: f, permissions: permissions, action: dataPrefix + action,
		onObject: onObject, durable: durable, publicData: publicData}
}

// ownRow is the vault's own work on an object.
func ownRow(operation string, f object.Family) row {
	return row{plane: ownWork, operation: operation, family: f, onObject: onObject, durable: acts}
}

// managementRow is an action on the management plane: those of the service under its
// own names, ours below "Coffer.".
func managementRow(operation, action string, durable bool) row {
	return row{plane: managementPlane, operation: operation, action: action, durable: durable}
}
