package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"coffer/internal/pki"
)

// What others sign, for the tests of reading: a certificate by crypto/x509.
func issue(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *pki.Certificate {
	t.Helper()
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now(), time.Now().AddDate(1, 0, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pki.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func named(name string) pkix.Name { return pkix.Name{CommonName: name} }

// link makes a certificate with a subject, an issuer and key identifiers; "" for
// none. SortChain looks at nothing else.
func link(t *testing.T, serial int64, subject, issuer, subjectID, authorityID string) *pki.Certificate {
	t.Helper()
	key := keyFor(t, p256)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: named(subject), SubjectKeyId: []byte(subjectID), AuthorityKeyId: []byte(authorityID)}
	parent := &x509.Certificate{Subject: named(issuer), SubjectKeyId: []byte(authorityID)}
	return issue(t, template, parent, key.Public(), key)
}

func TestSortChain(t *testing.T) {
	leaf := link(t, 1, "leaf", "sub", "l", "s")
	sub := link(t, 2, "sub", "mid", "s", "m")
	mid := link(t, 3, "mid", "root", "m", "r")
	root := link(t, 4, "root", "root", "r", "r")
	bareRoot := link(t, 5, "root", "root", "", "")
	otherSub := link(t, 6, "sub", "mid", "x", "m")
	anonymousSub := link(t, 7, "sub", "mid", "", "")
	unrelated := link(t, 8, "unrelated", "unrelated", "", "")
	another := link(t, 9, "another", "nobody", "", "")
	crossRoot := link(t, 10, "root", "elder", "r", "e")
	loopA := link(t, 11, "a", "b", "", "")
	loopB := link(t, 12, "b", "a", "", "")
	rollover := link(t, 13, "sub", "sub", "s", "old")
	oldSub := link(t, 14, "sub", "sub", "old", "old")
	for _, tc := range []struct {
		name         string
		leaf         *pki.Certificate
		others, want []*pki.Certificate
	}{
		{"alone", leaf, nil, nil},
		{"in order", leaf, []*pki.Certificate{sub, mid, root}, []*pki.Certificate{sub, mid, root}},
		{"reversed", leaf, []*pki.Certificate{root, mid, sub}, []*pki.Certificate{sub, mid, root}},
		{"shuffled", leaf, []*pki.Certificate{mid, root, sub}, []*pki.Certificate{sub, mid, root}},
		{"copies of the leaf", leaf, []*pki.Certificate{leaf, root, leaf, sub, mid}, []*pki.Certificate{sub, mid, root}},
		{"unrelated ones last, in their order", leaf, []*pki.Certificate{unrelated, root, another, mid, sub}, []*pki.Certificate{sub, mid, root, unrelated, another}},
		{"a gap", leaf, []*pki.Certificate{root, mid}, []*pki.Certificate{root, mid}},
		{"same name, other key", leaf, []*pki.Certificate{otherSub, sub}, []*pki.Certificate{sub, otherSub}},
		{"only another key", leaf, []*pki.Certificate{unrelated, otherSub}, []*pki.Certificate{unrelated, otherSub}},
		{"no key identifier is second best", leaf, []*pki.Certificate{anonymousSub, sub}, []*pki.Certificate{sub, anonymousSub}},
		{"no key identifier is enough", leaf, []*pki.Certificate{mid, anonymousSub}, []*pki.Certificate{anonymousSub, mid}},
		{"root without identifiers", leaf, []*pki.Certificate{bareRoot, mid, sub}, []*pki.Certificate{sub, mid, bareRoot}},
		{"two roots", leaf, []*pki.Certificate{root, crossRoot, mid, sub}, []*pki.Certificate{sub, mid, root, crossRoot}},
		{"a new key under the same name", leaf, []*pki.Certificate{oldSub, rollover}, []*pki.Certificate{rollover, oldSub}},
		{"a loop", loopA, []*pki.Certificate{loopB, loopA}, []*pki.Certificate{loopB}},
		{"a self-signed leaf", root, []*pki.Certificate{sub, mid, bareRoot}, []*pki.Certificate{sub, mid, bareRoot}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := append([]*pki.Certificate{tc.leaf}, tc.want...)
			got := pki.SortChain(tc.leaf, tc.others)
			if serials(got) != serials(want) {
				t.Errorf("got %s, want %s", serials(got), serials(want))
			}
		})
	}
}

func serials(chain []*pki.Certificate) string {
	var s []string
	for _, c := range chain {
		s = append(s, c.Serial.String())
	}
	return strings.Join(s, " ")
}

func TestCheckSignatureBy(t *testing.T) {
	type signer struct {
		spec pki.KeySpec
		alg  x509.SignatureAlgorithm
	}
	self := func(s signer) *pki.Certificate {
		key := keyFor(t, s.spec)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: named("self"), SignatureAlgorithm: s.alg}
		return issue(t, template, template, key.Public(), key)
	}
	for _, s := range []signer{
		{rsa2048, x509.SHA256WithRSA}, {rsa2048, x509.SHA384WithRSA}, {rsa2048, x509.SHA512WithRSA},
		{rsa2048, x509.SHA256WithRSAPSS}, {rsa2048, x509.SHA384WithRSAPSS}, {rsa2048, x509.SHA512WithRSAPSS},
		{p256, x509.ECDSAWithSHA256}, {p256, x509.ECDSAWithSHA384}, {p384, x509.ECDSAWithSHA512}, {p521, x509.ECDSAWithSHA256},
	} {
		c := self(s)
		if err := c.CheckSignatureBy(c); err != nil {
			t.Errorf("%v: %v", s.alg, err)
		}
		for _, spec := range []pki.KeySpec{rsa2048, p256, p384} {
			other := self(signer{spec, 0})
			if err := c.CheckSignatureBy(other); err == nil && spec != s.spec {
				t.Errorf("%v verifies under another %s key", s.alg, specName(spec))
			}
		}
		// One bit of the signature, and one of what is signed.
		for _, i := range []int{len(c.Raw) - 1, len(c.Raw) / 3} {
			der := append([]byte(nil), c.Raw...)
			der[i] ^= 1
			spoilt, err := pki.ParseCertificate(der)
			if err == nil && spoilt.CheckSignatureBy(c) == nil {
				t.Errorf("%v: a certificate with octet %d changed verifies", s.alg, i)
			}
		}
	}
}

// openssl signs what crypto/x509 will not: with SHA-1, and with P-256K.
func TestCheckSignatureByOfOpenSSL(t *testing.T) {
	for _, tc := range []struct {
		spec pki.KeySpec
		args []string
		ok   bool
	}{
		{p256k, []string{"-sha256"}, true}, {p256k, []string{"-sha384"}, true}, {p256k, []string{"-sha1"}, false},
		{rsa2048, []string{"-sha1"}, false},
		{rsa2048, []string{"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:0"}, true},
		{rsa2048, []string{"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:max"}, false},
		{rsa2048, []string{"-sha1", "-sigopt", "rsa_padding_mode:pss"}, false},
		{rsa2048, []string{"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_mgf1_md:sha512"}, false},
	} {
		private, err := pki.MarshalPKCS8(keyFor(t, tc.spec))
		if err != nil {
			t.Fatal(err)
		}
		c, err := pki.ParseCertificate(opensslCert(t, toPEM("PRIVATE KEY", private), "", tc.args...))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckSignatureBy(c); (err == nil) != tc.ok {
			t.Errorf("%s %v: %v", specName(tc.spec), tc.args, err)
		}
	}
}

// Authorities sign with keys that the vault does not hold itself.
func TestCheckIssuedBy(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaOf := func(bits int) *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := func() *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(1), Subject: named("authority")}
	}
	for name, c := range map[string]struct {
		key crypto.Signer
		ok  bool
	}{
		"Ed25519": {edwards, true}, "RSA of 2056 bits": {rsaOf(2056), true}, "RSA of 1024 bits": {rsaOf(1024), false},
		"P-256": {keyFor(t, p256), true}, "P-224": {p224, false},
	} {
		issuer := issue(t, template(), template(), c.key.Public(), c.key)
		leaf := issue(t, template(), template(), keyFor(t, p384).Public(), c.key)
		err := leaf.CheckIssuedBy(issuer)
		if (err == nil) != c.ok || !c.ok && !errors.Is(err, pki.ErrKeyType) {
			t.Errorf("%s: %v", name, err)
		}
		spoilt := bytes.Clone(leaf.Raw)
		spoilt[len(spoilt)-1] ^= 1
		if p, err := pki.ParseCertificate(spoilt); err == nil && p.CheckIssuedBy(issuer) == nil {
			t.Errorf("%s: a spoilt signature verifies", name)
		}
		other := issue(t, template(), template(), keyFor(t, p384).Public(), keyFor(t, p384))
		if other.CheckIssuedBy(issuer) == nil {
			t.Errorf("%s: it vouches for what another signed", name)
		}
	}
	// A key that would take long to compute with is not tried.
	long := &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).Lsh(big.NewInt(1), 9000), 0, 1), E: 65537}
	issuer := issue(t, template(), template(), long, keyFor(t, p256))
	if err := issue(t, template(), template(), long, rsaOf(2056)).CheckIssuedBy(issuer); !errors.Is(err, pki.ErrKeyType) {
		t.Errorf("RSA of 9000 bits: %v", err)
	}
}
