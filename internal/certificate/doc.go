// Package certificate owns certificates: their versions, policies and pending
// operations, import, merge, deletion and backup. A certificate version, its key
// version and its secret version are one thing with one version string: they are
// born in one transaction and die in one.
package certificate
