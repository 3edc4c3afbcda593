package conformance

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"math/big"
	"net"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// vaultSigner signs with a key that stays in the vault.
type vaultSigner struct {
	*vault
	name, version string
	public        crypto.PublicKey
}

func (s vaultSigner) Public() crypto.PublicKey { return s.public }

func (s vaultSigner) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	signed, err := s.keys.Sign(s.t.Context(), s.name, s.version,
		azkeys.SignParameters{Algorithm: to.Ptr(azkeys.SignatureAlgorithmES256), Value: digest}, nil)
	if err != nil {
		return nil, err
	}
	half := len(signed.Result) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(signed.Result[:half]), new(big.Int).SetBytes(signed.Result[half:])})
}

func TestServerSignsWithAKeyThatStaysInTheVault(t *testing.T) {
	t.Parallel()
	serve(open(t), azcertificates.KeyTypeEC)
}

// serve runs a TLS server with a certificate of the vault, whose key may not leave it, and reaches it.
func serve(v *vault, kind azcertificates.KeyType) {
	t, name := v.t, v.name()
	p := small("Self")
	p.KeyProperties.KeyType = &kind
	p.KeyProperties.Exportable = to.Ptr(false)
	p.X509CertificateProperties.SubjectAlternativeNames = &azcertificates.SubjectAlternativeNames{DNSNames: to.SliceOfPtrs("small.example.net")}
	made := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
	leaf, err := x509.ParseCertificate(made.CER)
	check(t, err)
	v.secret(name, "").holdsNoKey(t, made.CER)

	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{
		Certificate: [][]byte{made.CER}, PrivateKey: vaultSigner{v, name, made.ID.Version(), leaf.PublicKey}}}})
	check(t, err)
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.WriteString(conn, "hello")
			conn.Close()
		}
		served <- err
	}()
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	raw, err := net.Dial("tcp", listener.Addr().String())
	check(t, err)
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: "small.example.net"})
	heard, err := io.ReadAll(conn)
	check(t, err)
	check(t, <-served)
	check(t, listener.Close())
	equal(t, "heard", string(heard), "hello")
}
