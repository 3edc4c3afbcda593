// Package daemon puts a vault together from its settings and serves it: the one
// place that knows all packages, for the command and for tests alike.
package daemon
