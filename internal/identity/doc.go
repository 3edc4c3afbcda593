// Package identity says who is calling. It owns the directory of one tenant
// (principals, credentials, groups, the keys that sign tokens), mints the
// directory's own tokens, and verifies every bearer token, its own and those of
// configured OpenID Connect issuers.
//
// What a caller may do is left to package access, the HTTP form of the token
// service to package login, and the 401 to the door that asked.
package identity
