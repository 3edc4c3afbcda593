package store

import (
	"strings"
	"testing"

	"coffer/internal/jobs"
)

// What a request waits for must find its rows by an index that is already in
// order: no scan of a table, no sorting.
func TestQueriesUseAnIndexInOrder(t *testing.T) {
	e := openFaulty(t, nil).engine.(*sqliteEngine)
	queries := map[string]string{
		"selectCurrent": selectCurrent, "selectCertificate": selectCertificate, "selectVersion": selectVersion,
		"listVersions": listVersions, "listKeys": listKeys, "listKeyVersions": listKeyVersions,
		"selectKey": selectKey, "listDeletedKeys": listDeletedKeys, "dueKeys": keyHeads.due, "selectRotation": selectRotation,
		"listSecrets": listSecrets, "listDeletedSecrets": listDeletedSecrets, "dueSecrets": secretHeads.due, "listSecretVersions": listSecretVersions, "listIssuers": listIssuers,
		"duePurges": duePurges, "principalByAppID": principalByAppID, "credentialByHash": credentialByHash,
		"listCredentials": listCredentials, "groupsOf": groupsOf, "membersOf": membersOf, "listPrincipals": listPrincipals,
		"deleteJobs": deleteJobs, "hastenJobs": hastenJobs, "failedJobs": failedJobs, "freeLeases": freeLeases, "forgetAssertions": forgetAssertions, "vaultByName": vaultByName,
		"hsmKeyInUse": hsmKeyInUse,
	}
	indices := map[string]string{}
	for q, query := range certificateLists {
		name, index := "certificates", " certificates_issued (vault=? AND deleted=? AND issued=? AND name>?)"
		if q.Deleted {
			name += " deleted"
		}
		if q.Pending {
			name, index = name+" pending", " certificates_all (vault=? AND deleted=? AND name>?)"
		}
		queries[name], indices[name] = query, index
	}
	for f, query := range spellings {
		queries["spelling of "+string(f)] = query
	}
	indices["listKeys"] = " keys_listed (vault=? AND listed=? AND name>?)"
	indices["listDeletedKeys"] = " keys_deleted (vault=? AND name>?)"
	indices["dueKeys"] = " keys_purge "
	indices["listSecrets"] = " secrets_listed (vault=? AND listed=? AND name>?)"
	indices["listDeletedSecrets"] = " secrets_deleted (vault=? AND name>?)"
	indices["dueSecrets"] = " secrets_purge "
	indices["duePurges"] = " certificates_purge "
	for name, query := range queries {
		plan := explain(t, e, query)
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s:\n%s", name, plan)
		}
		if want := indices[name]; want != "" && !strings.Contains(plan, want) {
			t.Errorf("%s does not use%s:\n%s", name, want, plan)
		}
	}
	in, _ := kindList(4, make([]jobs.Kind, 2))
	claim := explain(t, e, `SELECT id FROM jobs WHERE gave_up IS NULL AND due <= $1 AND (lease IS NULL OR lease <= $2) AND kind IN (`+in+`) ORDER BY due, id LIMIT $3`)
	if strings.Contains(claim, "TEMP B-TREE") || !strings.Contains(claim, "jobs_due") {
		t.Errorf("claiming jobs:\n%s", claim)
	}
}

func explain(t *testing.T, e *sqliteEngine, query string) string {
	t.Helper()
	args := make([]any, strings.Count(query, "$"))
	rows, err := e.reads.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + " \n")
	}
	return plan.String()
}
