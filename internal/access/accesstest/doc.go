// Package accesstest gives the tests of rules the grants that they demand: by the
// real gate, out of attempts in a real log. It is imported by tests only.
package accesstest
