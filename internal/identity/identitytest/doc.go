// Package identitytest holds what tests of the directory share: the suite that
// every database for identity.Tx must pass, and a database and a Sealer in memory
// for the tests of packages that do not know the store.
package identitytest
