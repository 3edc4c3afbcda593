package store

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// notBoxes are the BLOB columns that hold no box, and what they hold.
var notBoxes = map[string]string{
	"data_keys.wrapped":               "a data key under the root key, bound to its scope and id",
	"certificate_versions.thumbprint": "a public hash",
	"certificate_versions.leaf":       "a certificate",
	"certificate_versions.content":    "the digest of leaf and chain",
	"certificate_versions.chain":      "certificates",
	"certificate_operations.csr":      "a request",
	"certificate_operations.public":   "a public key",
	"certificate_operations.hsm_id":   "the id of a key in the HSM",
	"key_versions.public":             "a public key",
	"key_versions.hsm_id":             "the id of a key in the HSM",
	"credentials.hash":                "a hash of what proves who somebody is",
	"credentials.certificate":         "a certificate",
	"signing_keys.public":             "a public key",
	"audit_heads.hash":                "a hash",
}

// Every column that can hold a box is in the table of those that do, or said to hold
// something else; and each that does has its index, and its triggers.
func TestEverySealedColumnIsKnown(t *testing.T) {
	e := openFaulty(t, nil).engine.(*sqliteEngine)
	ask := func(query string) (list []string) {
		t.Helper()
		rows, err := e.reads.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			list = append(list, s)
		}
		return list
	}
	known := maps.Clone(notBoxes)
	for table := range primaryKeys {
		known[table+".tag"] = "who wrote the row"
	}
	for _, c := range sealedColumns {
		known[c.table+"."+c.column] = "boxes"
		for _, query := range []string{c.list, c.count, c.countAll} {
			if plan := explain(t, e, query); strings.Contains(plan, "TEMP B-TREE") || !strings.Contains(plan, "INDEX "+c.table+"_"+c.column) {
				t.Errorf("%s.%s is not read by its index: %s\n%s", c.table, c.column, query, plan)
			}
		}
		triggers := ask(`SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '` + c.table + `'`)
		for _, on := range []string{"insert", "update"} {
			if name := c.table + "_" + c.column + "_" + on; !slices.Contains(triggers, name) {
				t.Errorf("there is no trigger %s", name)
			}
		}
	}
	blobs := ask(`SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND c.type = 'BLOB'`)
	for _, b := range blobs {
		if known[b] == "" {
			t.Errorf("what does %s hold? A column of boxes belongs in sealedColumns, with its index and triggers; any other in notBoxes", b)
		}
		delete(known, b)
	}
	if len(known) > 0 {
		t.Errorf("not in the schema: %v", known)
	}
}
