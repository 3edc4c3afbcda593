// Package keytest is a token in memory, for tests of what uses one: honest about
// failure, and judged by nobody but its owner. The real one is tested in hsm.
package keytest
