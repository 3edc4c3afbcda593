// Package identitytest holds what tests of the directory share: the suite that
// every identity.DB must pass, and a DB and a Sealer in memory for the tests of
// packages that do not know the store.
package identitytest
