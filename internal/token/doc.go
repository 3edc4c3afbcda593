// Package token mints the access tokens of the directory's principals and keeps
// the keys that sign them: made, rotated with an overlap, sealed at rest, and
// published as a key set.
//
// Who a principal is, and whether it has proved itself, is left to package
// directory; checking a token to package authn; the HTTP form to package login.
package token
