package key

import (
	"slices"
	"testing"

	"coffer/internal/pki"
)

// The table of contract certificates.md, 7.3.
func TestOperationsOfUsages(t *testing.T) {
	all := []Op{Sign, Verify, WrapKey, UnwrapKey, Encrypt, Decrypt}
	for _, c := range []struct {
		usages  []string
		rsa, ec []Op
	}{
		{nil, all, all[:2]},
		{[]string{}, all, all[:2]},
		{[]string{"digitalSignature"}, all[:2], all[:2]},
		{[]string{"nonRepudiation"}, all[:2], all[:2]},
		{[]string{"keyCertSign"}, all[:2], all[:2]},
		{[]string{"cRLSign"}, all[:2], all[:2]},
		{[]string{"keyEncipherment"}, all[2:4], nil},
		{[]string{"dataEncipherment"}, all[4:], nil},
		{[]string{"encipherOnly"}, all[4:5], nil},
		{[]string{"decipherOnly"}, all[5:], nil},
		{[]string{"keyAgreement"}, nil, nil},
		{[]string{"decipherOnly", "encipherOnly", "keyAgreement"}, all[4:], nil},
		{[]string{"keyEncipherment", "digitalSignature"}, all[:4], all[:2]},
		{[]string{"cRLSign", "dataEncipherment", "digitalSignature", "keyEncipherment"}, all, all[:2]},
	} {
		if got := OpsFor(c.usages, pki.RSA); !slices.Equal(got, c.rsa) || got == nil {
			t.Errorf("RSA, %q: %q, want %q", c.usages, got, c.rsa)
		}
		// An EC key has nothing to encrypt with (contract keys.md, 6).
		if got := OpsFor(c.usages, pki.EC); !slices.Equal(got, c.ec) || got == nil {
			t.Errorf("EC, %q: %q, want %q", c.usages, got, c.ec)
		}
	}
}
