package store

import (
	"context"
	"fmt"
)

// orphanQueries find rows whose counterpart is missing: what no constraint can
// say, because the counterpart is written in the same transaction but not
// before. Each gives vault, name and version.
var orphanQueries = []struct{ what, query string }{
	{"a managed key without its certificate", `SELECT h.vault, h.name, h.current FROM keys h
		WHERE h.managed AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.vault = h.vault AND c.name = h.name)`},
	{"a managed secret without its certificate", `SELECT h.vault, h.name, h.current FROM secrets h
		WHERE h.managed AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.vault = h.vault AND c.name = h.name)`},
	{"a managed key version without its certificate version", `SELECT v.vault, v.name, v.version
		FROM key_versions v JOIN keys h ON h.vault = v.vault AND h.name = v.name
		WHERE h.managed AND NOT EXISTS (SELECT 1 FROM certificate_versions c
			WHERE c.vault = v.vault AND c.name = v.name AND c.version = v.version AND c.completed)`},
	{"a managed secret version without its certificate version", `SELECT v.vault, v.name, v.version
		FROM secret_versions v JOIN secrets h ON h.vault = v.vault AND h.name = v.name
		WHERE h.managed AND NOT EXISTS (SELECT 1 FROM certificate_versions c
			WHERE c.vault = v.vault AND c.name = v.name AND c.version = v.version AND c.completed)`},
	{"a key whose current version is missing", `SELECT h.vault, h.name, h.current FROM keys h
		WHERE h.current <> '' AND NOT EXISTS (SELECT 1 FROM key_versions v
			WHERE v.vault = h.vault AND v.name = h.name AND v.version = h.current)`},
	{"a secret whose current version is missing", `SELECT h.vault, h.name, h.current FROM secrets h
		WHERE h.current <> '' AND NOT EXISTS (SELECT 1 FROM secret_versions v
			WHERE v.vault = h.vault AND v.name = h.name AND v.version = h.current)`},
	{"a key of its own without a version", `SELECT h.vault, h.name, h.current FROM keys h
		WHERE NOT h.managed AND h.current = ''`},
	{"a secret of its own without a version", `SELECT h.vault, h.name, h.current FROM secrets h
		WHERE NOT h.managed AND h.current = ''`},
	{"a certificate whose current version is missing", `SELECT h.vault, h.name, h.current FROM certificates h
		WHERE NOT EXISTS (SELECT 1 FROM certificate_versions v
			WHERE v.vault = h.vault AND v.name = h.name AND v.version = h.current)`},
	{"a certificate that does not know whether it was issued", `SELECT h.vault, h.name, h.current FROM certificates h
		WHERE h.issued <> EXISTS (SELECT 1 FROM certificate_versions v
			WHERE v.vault = h.vault AND v.name = h.name AND v.completed)`},
}

// Orphans describes rows whose counterpart is missing. There are none unless
// something outside wrote to the database, or a rule is wrong. It reads every
// name: it is for checks, not for requests.
func (tx *Tx) Orphans(ctx context.Context) (found []string, err error) {
	for _, q := range orphanQueries {
		err := tx.rows(ctx, unverified+" it is a check */ "+q.query, nil, func(s scanner) error {
			var vault, name, version string
			if err := s.Scan(&vault, &name, &version); err != nil {
				return err
			}
			found = append(found, fmt.Sprintf("%s: %s/%s/%s", q.what, vault, name, version))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
