// Package compute runs what takes much of a processor (key generation and derivation,
// checks of keys and certificates that were brought, backups) in few threads of the
// lowest priority, so that it never holds up everything else. It bounds how much runs
// at a time, and not how much waits, which is budget's.
package compute
