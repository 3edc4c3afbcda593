// Package authn says who sent a request: it verifies bearer tokens, those of our
// token service and those of configured OpenID Connect issuers, and the client
// assertions with which an application proves itself.
//
// Who is in the tenant is left to package directory, minting to package token,
// what a caller may do to package access, and the 401 to the door that asked.
package authn
