package tlsprofile

import "crypto/tls"

// suites are those of TLS 1.2 that are authenticated encryption with forward secrecy (RFC 9325, section 4.2;
// RFC 7540, section 9.2.2, wants the first). Those of TLS 1.3 all are, and crypto/tls lets nobody choose
// among them. In FIPS mode it leaves out ChaCha20-Poly1305 by itself.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Apply sets versions and cipher suites of c, and gives it back. Key exchanges stay those of crypto/tls, which
// begin with X25519MLKEM768.
func Apply(c *tls.Config) *tls.Config {
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	c.CipherSuites = append([]uint16(nil), suites...)
	return c
}
