// Package throttle bounds what one source address can make the vault do.
package throttle
