// Package storetest holds what tests over the real store share: places for a
// database, the conformance suite that both databases pass, faults, and the
// check that walks a whole vault and reports everything that is inconsistent.
package storetest
