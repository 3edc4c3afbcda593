// Package selfsigned is the issuer Self: the vault signs a certificate with the
// certificate's own key. What the certificate says is the request's, made by issuance
// and pki; keeping it is left to certificate.
package selfsigned
