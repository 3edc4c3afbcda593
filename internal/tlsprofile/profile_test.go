package tlsprofile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// listen answers handshakes with certificates of both kinds of key.
func listen(t *testing.T) string {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{}
	for _, pair := range []struct{ private, public any }{{ec, ec.Public()}, {r, r.Public()}} {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pair.public, pair.private)
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = append(c.Certificates, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: pair.private})
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", Apply(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = conn.(*tls.Conn).Handshake()
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// TestOnlyAuthenticatedEncryption: openssl is let in with AEAD suites and with nothing else.
func TestOnlyAuthenticatedEncryption(t *testing.T) {
	address := listen(t)
	for _, c := range []struct {
		args []string
		want string // in openssl's words; "" for a refusal
	}{
		{[]string{"-tls1_3"}, "New, TLSv1.3"},
		{[]string{"-tls1_3", "-groups", "X25519"}, "Server Temp Key: X25519"},
		{[]string{"-tls1_3", "-groups", "P-256"}, "Server Temp Key: ECDH, prime256v1"},
		{[]string{"-tls1_2"}, "New, TLSv1.2, Cipher is ECDHE-"},
		{[]string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}, "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"},
		{[]string{"-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"}, "Cipher is ECDHE-RSA-AES256-GCM-SHA384"},
		{[]string{"-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"}, "Cipher is ECDHE-RSA-CHACHA20-POLY1305"},
		{[]string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"}, ""}, // CBC
		{[]string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"}, ""},
		{[]string{"-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA"}, ""},
		{[]string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"}, ""},
		{[]string{"-tls1_2", "-cipher", "AES128-GCM-SHA256"}, ""}, // no forward secrecy
		{[]string{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, ""},
	} {
		out, err := exec.Command("openssl", append([]string{"s_client", "-connect", address, "-servername", "localhost"}, c.args...)...).CombinedOutput()
		if _, missing := err.(*exec.Error); missing {
			t.Fatal(err)
		}
		in := strings.Contains(string(out), "New, TLSv1")
		if in != (c.want != "") || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: let in %v, want %q:\n%.2000s", c.args, in, c.want, out)
		}
	}
}

// TestHybridKeyExchangeComesFirst: between two of ours it is X25519MLKEM768.
func TestHybridKeyExchangeComesFirst(t *testing.T) {
	conn, err := tls.Dial("tcp", listen(t), Apply(&tls.Config{InsecureSkipVerify: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().CurveID; got != tls.X25519MLKEM768 {
		t.Errorf("got %v", got)
	}
}

// TestClientsAreAsStrict: a server that has CBC only is refused.
func TestClientsAreAsStrict(t *testing.T) {
	c := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}
	a, b := net.Pipe()
	go func() { _ = tls.Server(a, c).Handshake(); _ = a.Close() }()
	if err := tls.Client(b, Apply(&tls.Config{InsecureSkipVerify: true})).Handshake(); err == nil {
		t.Error("the handshake succeeded")
	}
}
