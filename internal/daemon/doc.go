// Package daemon puts a vault together from its settings and serves it: the one
// place that knows all packages, for the command and for tests alike. It has no rule
// and no form of the wire of its own.
package daemon
