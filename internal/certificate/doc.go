// Package certificate owns certificates: their versions, policies and pending
// operations, import, merge, deletion and backup. A certificate version, its key
// version and its secret version are one thing with one version string: they are
// inserted in one transaction and purged in one.
package certificate
