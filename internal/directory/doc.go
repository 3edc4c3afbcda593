// Package directory holds the principals of one tenant: applications, managed
// identities, users by name, groups and their members, and the credentials with
// which a principal proves itself. Storage holds nothing that could serve in a
// credential's place.
//
// What a principal may do is left to package access, the tokens that it is given
// to package token, and tokens that others present to package authn.
package directory
