// Package fault says what kind of failure happened, without a word of HTTP.
//
// A domain returns *[Error] when the caller can act on the failure, and a plain
// wrapped error when only the operator can. The doors alone know status codes:
// each turns a Kind into its own wire form in one table.
package fault
