// Package directorytest changes a directory as its operator does, for the tests of
// packages that need principals. It is imported by tests only.
package directorytest
