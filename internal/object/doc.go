// Package object holds what certificates, keys and secrets share: names,
// versions, attributes, tags, soft deletion and paging. Strings from outside
// are parsed here once; the canonical form is the key for access, storage and
// audit alike. It knows no transport and no storage.
package object
