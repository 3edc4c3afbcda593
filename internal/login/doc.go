// Package login is the HTTP door of the built-in token service: discovery and
// keys, the token endpoints in their three spellings (v1, v2 and AD FS), and the
// managed-identity endpoint in the App Service form.
//
// One grant is served, client_credentials: by secret, by an assertion signed
// with a registered certificate, or by a federated token of another issuer.
// Passwords, device codes, refresh tokens and authorization codes belong to
// people; people sign in at an external issuer, and these grants are answered
// with unsupported_grant_type.
//
// Who is who is left to package directory, what a token says to package token, and
// the assertions of others to package authn.
package login
