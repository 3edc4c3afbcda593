// Package audience knows for which audiences tokens are made and accepted, as
// they follow from the host that a client asks, and the challenge that tells the
// client. Verifying a token is left to package authn.
package audience
