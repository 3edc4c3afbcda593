// Package authntest holds what tests of directory, token and authn share: the
// suite that every database of theirs must pass, a database and a Sealer in memory
// for the tests of packages that do not know the store, an installation of the
// three over them, and tokens made by hand.
package authntest
