// Package authntest holds what tests of directory, token and authn share: the
// suite that every database of theirs must pass, and a database and a Sealer in
// memory for the tests of packages that do not know the store.
package authntest
