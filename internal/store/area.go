package store

import "coffer/internal/fresh"

// touches says which areas a write belongs to, by the name of its method. What is
// not listed touches all.
var touches = map[string]fresh.Areas{
	"InsertVault": fresh.Vaults,
	"UpdateVault": fresh.Vaults,
	"DeleteVault": fresh.All, // with everything in it

	"InsertAssignment": fresh.Assignments,
	"DeleteAssignment": fresh.Assignments,

	"InsertPrincipal":  fresh.Principals,
	"UpdatePrincipal":  fresh.Principals,
	"DeletePrincipal":  fresh.Principals,
	"InsertCredential": fresh.Principals,
	"DeleteCredential": fresh.Principals,
	"InsertMembership": fresh.Principals,
	"DeleteMembership": fresh.Principals,
	"InsertSigningKey": fresh.Principals,
	"DeleteSigningKey": fresh.Principals,

	"InsertCertificate": fresh.Objects,
	"UpdateCertificate": fresh.Objects,
	"PurgeCertificate":  fresh.Objects,
	"InsertVersion":     fresh.Objects,
	"UpdateVersion":     fresh.Objects,
	"DeleteVersion":     fresh.Objects,
	"PutOperation":      fresh.Objects,
	"DeleteOperation":   fresh.Objects,
	"SetContacts":       fresh.Objects,
	"DeleteContacts":    fresh.Objects,
	"PutIssuer":         fresh.Objects,
	"DeleteIssuer":      fresh.Objects,

	"InsertKey":         fresh.Objects,
	"UpdateKeyHead":     fresh.Objects,
	"PurgeKey":          fresh.Objects,
	"InsertKeyVersion":  fresh.Objects,
	"UpdateKeyVersion":  fresh.Objects,
	"PutRotationPolicy": fresh.Objects,

	"InsertSecret":        fresh.Objects,
	"UpdateSecretHead":    fresh.Objects,
	"PurgeSecret":         fresh.Objects,
	"InsertSecretVersion": fresh.Objects,
	"UpdateSecretVersion": fresh.Objects,

	"ReplaceBox": fresh.Objects | fresh.Principals, // signing keys are kept with these

	// Nothing of these is kept in memory, but data keys, which never change: which of them is
	// current is asked again and again (seal.Limits).
	"EnqueueJob":        0,
	"ClaimJobs":         0,
	"CompleteJob":       0,
	"PostponeJob":       0,
	"RenewJob":          0,
	"FailJob":           0,
	"GiveUpJob":         0,
	"RerunJob":          0,
	"FreeLeases":        0,
	"HastenJobs":        0,
	"DeleteJobs":        0,
	"InsertMessage":     0,
	"DeleteMessage":     0,
	"InsertDataKey":     0,
	"RewrapDataKey":     0,
	"ReserveBoxes":      0,
	"ReplaceDataKey":    0,
	"CloseDataKey":      0,
	"ReleaseDataKeys":   0,
	"DestroyDataKey":    0,
	"RememberAssertion": 0,
	"SetAuditHead":      0,
	"SetInstallation":   0,
	"ForgetAssertions":  0,
}

// areasOf are the areas that a write touches.
func areasOf(point string) fresh.Areas {
	if a, ok := touches[point]; ok {
		return a
	}
	return fresh.All
}
