// Package store keeps everything in SQL: in an embedded SQLite database, or in
// PostgreSQL. It implements the transactions that the domains declare, migrates
// the schema, and decides nothing: rules live in the domains, uniqueness and
// references are constraints. Private columns hold sealed boxes only. What has parts
// is stored as JSON in shapes of this package, so that a domain renames its fields
// without touching what databases hold.
package store
