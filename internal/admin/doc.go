// Package admin is the operator's door: what the command line changes in vaults,
// access and identities. A running server answers it on a socket that only its
// own user can open; without a server the command line calls it in its own
// process. Either way each call is on record before it takes effect.
//
// What may be changed, and how, is left to management and directory; flags, and
// what is printed, to the command.
package admin
