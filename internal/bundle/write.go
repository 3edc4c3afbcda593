package bundle

import (
	"encoding/base64"
	"encoding/pem"

	"coffer/internal/pkcs12"
)

// WritePKCS12 returns the base64, in one line, of a PFX with the empty password
// (contract certificates.md, 7.4): in the recorded layout, or the modern one. All
// is DER, the key PKCS#8; a nil key gives a file of certificates only (7.6). The
// certificates keep their order; that at index leaf is the key's.
func WritePKCS12(keyPKCS8 []byte, certificates [][]byte, leaf int, modern bool) (string, error) {
	encode := pkcs12.EncodeLegacy
	if modern {
		encode = pkcs12.EncodeModern
	}
	pfx, err := encode(keyPKCS8, certificates, leaf)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(pfx), nil
}

// WritePEM returns key and certificates as PEM, in this order (contract
// certificates.md, 7.5). All is DER, the key PKCS#8; a nil key is left out (7.6).
func WritePEM(keyPKCS8 []byte, certificates [][]byte) string {
	var out []byte
	if keyPKCS8 != nil {
		out = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyPKCS8})
	}
	for _, der := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return string(out)
}

// ToPEM gives what WritePKCS12 wrote in the form of WritePEM.
func ToPEM(pfx string) (string, error) {
	der, err := base64.StdEncoding.DecodeString(pfx)
	if err != nil {
		return "", err
	}
	content, err := pkcs12.Decode(der, "")
	if err != nil {
		return "", err
	}
	var certificates [][]byte
	for _, c := range content.Certificates {
		certificates = append(certificates, c.DER)
	}
	return WritePEM(content.KeyPKCS8, certificates), nil
}
