// Package selfsigned is the issuer Self: the vault signs a certificate with the
// certificate's own key.
package selfsigned
