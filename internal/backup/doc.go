// Package backup owns the container that backups of certificates, keys and
// secrets travel in: a mark of what it holds, and a box that opens for one
// tenant of this installation; and what is inside of it for all families alike: a
// name with its versions. What a version has is each family's own business.
package backup
