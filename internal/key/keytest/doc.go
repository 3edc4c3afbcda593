// Package keytest is an HSM in memory, for the tests of those that use one. It can
// be pulled out and told to fail. The real one is tested in package hsm.
package keytest
