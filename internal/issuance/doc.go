// Package issuance says how a certificate comes into being: the policy that
// describes the next version, the request made from it, and the life of one
// pending operation. It declares what an issuer must do, and compares what an issuer
// delivers with what was ordered; the issuers themselves are adapters, and certificate
// keeps what they deliver.
package issuance
