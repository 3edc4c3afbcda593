// Package recent is a bounded map of what was read or checked last.
package recent
