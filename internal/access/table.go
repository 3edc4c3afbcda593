package access

import "coffer/internal/object"

// Shorthand of the table below.
const (
	certs   = object.Certificates
	keys    = object.Keys
	secrets = object.Secrets

	vaultWide = false // target: the vault
	onObject  = true  // target: the object, never a version of it

	reads = false // neither changes state nor reveals a secret
	acts  = true
)

func words(w ...string) []string { return w }

// rows are contract access-control.md, 4.1 to 4.3. Listing issuers accepts
// getissuers as well, since descriptions and documents disagree (note to 4.1).
// Encrypting, wrapping and verifying need only the public half of an asymmetric
// key, which keys/read gives to a role anyway (note to 4.2).
var rows = [256]row{
	CertificateCreate:         {"CertificateCreate", certs, words("create"), "certificates/create/action", onObject, acts, ""},
	CertificateImport:         {"CertificateImport", certs, words("import"), "certificates/import/action", onObject, acts, ""},
	CertificateGet:            {"CertificateGet", certs, words("get"), "certificates/read", onObject, reads, ""},
	CertificateList:           {"CertificateList", certs, words("list"), "certificates/read", vaultWide, reads, ""},
	CertificateListVersions:   {"CertificateListVersions", certs, words("list"), "certificates/read", onObject, reads, ""},
	CertificateUpdate:         {"CertificateUpdate", certs, words("update"), "certificates/update/action", onObject, acts, ""},
	CertificateDelete:         {"CertificateDelete", certs, words("delete"), "certificates/delete", onObject, acts, ""},
	CertificateGetDeleted:     {"CertificateGetDeleted", certs, words("get"), "certificates/read", onObject, reads, ""},
	CertificateListDeleted:    {"CertificateListDeleted", certs, words("list"), "certificates/read", vaultWide, reads, ""},
	CertificateRecover:        {"CertificateRecover", certs, words("recover"), "certificates/recover/action", onObject, acts, ""},
	CertificatePurge:          {"CertificatePurge", certs, words("purge"), "certificates/purge/action", onObject, acts, ""},
	CertificateBackup:         {"CertificateBackup", certs, words("backup"), "certificates/backup/action", onObject, acts, ""},
	CertificateRestore:        {"CertificateRestore", certs, words("restore"), "certificates/restore/action", onObject, acts, ""},
	CertificatePolicyGet:      {"CertificatePolicyGet", certs, words("get"), "certificates/read", onObject, reads, ""},
	CertificatePolicyUpdate:   {"CertificatePolicyUpdate", certs, words("update"), "certificates/update/action", onObject, acts, ""},
	CertificatePendingGet:     {"CertificatePendingGet", certs, words("get"), "certificates/read", onObject, reads, ""},
	CertificatePendingUpdate:  {"CertificatePendingUpdate", certs, words("update"), "certificates/update/action", onObject, acts, ""},
	CertificatePendingDelete:  {"CertificatePendingDelete", certs, words("update"), "certificates/update/action", onObject, acts, ""},
	CertificatePendingMerge:   {"CertificatePendingMerge", certs, words("create"), "certificates/create/action", onObject, acts, ""},
	CertificateContactsGet:    {"CertificateContactsGet", certs, words("managecontacts"), "certificatecontacts/write", vaultWide, reads, ""},
	CertificateContactsSet:    {"CertificateContactsSet", certs, words("managecontacts"), "certificatecontacts/write", vaultWide, acts, ""},
	CertificateContactsDelete: {"CertificateContactsDelete", certs, words("managecontacts"), "certificatecontacts/write", vaultWide, acts, ""},
	CertificateIssuersList:    {"CertificateIssuersList", certs, words("listissuers", "manageissuers", "getissuers"), "certificatecas/read", vaultWide, reads, ""},
	CertificateIssuerGet:      {"CertificateIssuerGet", certs, words("getissuers", "manageissuers"), "certificatecas/read", vaultWide, reads, ""},
	CertificateIssuerSet:      {"CertificateIssuerSet", certs, words("setissuers", "manageissuers"), "certificatecas/write", vaultWide, acts, ""},
	CertificateIssuerUpdate:   {"CertificateIssuerUpdate", certs, words("setissuers", "manageissuers"), "certificatecas/write", vaultWide, acts, ""},
	CertificateIssuerDelete:   {"CertificateIssuerDelete", certs, words("deleteissuers", "manageissuers"), "certificatecas/delete", vaultWide, acts, ""},

	KeyCreate:            {"KeyCreate", keys, words("create"), "keys/create/action", onObject, acts, ""},
	KeyImport:            {"KeyImport", keys, words("import"), "keys/import/action", onObject, acts, ""},
	KeyGet:               {"KeyGet", keys, words("get"), "keys/read", onObject, reads, ""},
	KeyGetAttestation:    {"KeyGetAttestation", keys, words("get"), "keys/read", onObject, reads, ""},
	KeyList:              {"KeyList", keys, words("list"), "keys/read", vaultWide, reads, ""},
	KeyListVersions:      {"KeyListVersions", keys, words("list"), "keys/read", onObject, reads, ""},
	KeyUpdate:            {"KeyUpdate", keys, words("update"), "keys/update/action", onObject, acts, ""},
	KeyRotate:            {"KeyRotate", keys, words("rotate"), "keys/rotate/action", onObject, acts, ""},
	KeyRotationPolicyGet: {"KeyRotationPolicyGet", keys, words("getrotationpolicy"), "keyrotationpolicies/read", onObject, reads, ""},
	KeyRotationPolicySet: {"KeyRotationPolicySet", keys, words("setrotationpolicy"), "keyrotationpolicies/write", onObject, acts, ""},
	KeyDelete:            {"KeyDelete", keys, words("delete"), "keys/delete", onObject, acts, ""},
	KeyGetDeleted:        {"KeyGetDeleted", keys, words("get"), "keys/read", onObject, reads, ""},
	KeyListDeleted:       {"KeyListDeleted", keys, words("list"), "keys/read", vaultWide, reads, ""},
	KeyRecover:           {"KeyRecover", keys, words("recover"), "keys/recover/action", onObject, acts, ""},
	KeyPurge:             {"KeyPurge", keys, words("purge"), "keys/purge/action", onObject, acts, ""},
	KeyBackup:            {"KeyBackup", keys, words("backup"), "keys/backup/action", onObject, acts, ""},
	KeyRestore:           {"KeyRestore", keys, words("restore"), "keys/restore/action", onObject, acts, ""},
	KeyEncrypt:           {"KeyEncrypt", keys, words("encrypt"), "keys/encrypt/action", onObject, reads, "keys/read"},
	KeyDecrypt:           {"KeyDecrypt", keys, words("decrypt"), "keys/decrypt/action", onObject, acts, ""},
	KeyWrap:              {"KeyWrap", keys, words("wrapKey"), "keys/wrap/action", onObject, reads, "keys/read"},
	KeyUnwrap:            {"KeyUnwrap", keys, words("unwrapKey"), "keys/unwrap/action", onObject, acts, ""},
	KeySecureWrap:        {"KeyWrap", keys, words("wrapKey"), "keys/wrap/action", onObject, reads, ""},
	KeySecureUnwrap:      {"KeyUnwrap", keys, words("unwrapKey"), "keys/unwrap/action", onObject, acts, ""},
	KeySign:              {"KeySign", keys, words("sign"), "keys/sign/action", onObject, reads, ""},
	KeyVerify:            {"KeyVerify", keys, words("verify"), "keys/verify/action", onObject, reads, "keys/read"},
	KeyRelease:           {"KeyRelease", keys, words("release"), "keys/release/action", onObject, acts, ""},
	KeyGetRandomBytes:    {"KeyGetRandomBytes", keys, words("get"), "keys/read", vaultWide, reads, ""}, // contract keys.md, 7

	SecretGet:          {"SecretGet", secrets, words("get"), "secrets/getSecret/action", onObject, acts, ""},
	SecretList:         {"SecretList", secrets, words("list"), "secrets/readMetadata/action", vaultWide, reads, ""},
	SecretListVersions: {"SecretListVersions", secrets, words("list"), "secrets/readMetadata/action", onObject, reads, ""},
	SecretSet:          {"SecretSet", secrets, words("set"), "secrets/setSecret/action", onObject, acts, ""},
	SecretUpdate:       {"SecretUpdate", secrets, words("set"), "secrets/update/action", onObject, acts, ""},
	SecretDelete:       {"SecretDelete", secrets, words("delete"), "secrets/delete", onObject, acts, ""},
	SecretGetDeleted:   {"SecretGetDeleted", secrets, words("get"), "secrets/readMetadata/action", onObject, reads, ""},
	SecretListDeleted:  {"SecretListDeleted", secrets, words("list"), "secrets/readMetadata/action", vaultWide, reads, ""},
	SecretRecover:      {"SecretRecover", secrets, words("recover"), "secrets/recover/action", onObject, acts, ""},
	SecretPurge:        {"SecretPurge", secrets, words("purge"), "secrets/purge/action", onObject, acts, ""},
	SecretBackup:       {"SecretBackup", secrets, words("backup"), "secrets/backup/action", onObject, acts, ""},
	SecretRestore:      {"SecretRestore", secrets, words("restore"), "secrets/restore/action", onObject, acts, ""},

	CertificateEnroll: {operation: "CertificateEnroll", family: certs, onObject: onObject, durable: acts},
	CertificateRenew:  {operation: "CertificateRenew", family: certs, onObject: onObject, durable: acts},
	KeyRotateIfDue:    {operation: "KeyRotateIfDue", family: keys, onObject: onObject, durable: acts},
}
