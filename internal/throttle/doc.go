// Package throttle bounds what one source address can make the vault do: its
// connections, and its attempts that are refused. What callers hold of the vault's
// memory and processors is budget's.
package throttle
