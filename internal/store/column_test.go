package store

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/issuance"
	"coffer/internal/pki"
)

// The JSON of a policy is what databases hold: a member that is renamed loses
// what is stored in it. A change of this file needs a migration.
func TestStorageFormatOfPolicies(t *testing.T) {
	cty, transparent, pathLen := "OV", true, 1
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	full := &issuance.Policy{
		Key:         issuance.KeyProps{Type: "EC", Size: 256, Curve: pki.P256, Exportable: true, Reuse: true},
		ContentType: issuance.PEM,
		X509: issuance.X509Props{
			Subject: "CN=a", SANs: &issuance.SANs{Emails: []string{"e"}, DNSNames: []string{"d"}, UPNs: []string{"u"}, URIs: []string{"r"}, IPAddresses: []string{"i"}},
			EKUs: []string{"1.2"}, KeyUsage: []string{"k"}, ValidityMonths: 12, CA: true, PathLen: &pathLen,
		},
		Actions:        []issuance.LifetimeAction{{Percentage: 80, Action: issuance.AutoRenew}, {Days: 3, Action: issuance.EmailContacts}},
		Issuer:         issuance.IssuerRef{Name: "n", CertificateType: &cty, Transparency: &transparent},
		Enabled:        true,
		Created:        at,
		Updated:        at.Add(time.Hour),
		PlatformManage: &issuance.PlatformManaged{CertificateUsage: "u", Metadata: "m"},
	}
	const golden = "testdata/policy.json"
	text, err := toJSON(full.Stored())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(bytes.TrimSpace(stored)), text); d != "" {
		t.Errorf("written (-stored +now)\n%s", d)
	}
	var got *issuance.StoredPolicy
	if err := fromJSON(string(stored), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(full, got.Policy()); d != "" {
		t.Errorf("read (-want +got)\n%s", d)
	}
}

func FuzzList(f *testing.F) {
	for _, list := range [][][]byte{nil, {}, {{}}, {{}, {1}, bytes.Repeat([]byte{2}, 300)}} {
		f.Add(packList(list))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})       // a huge count
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}) // a huge length
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := unpackList(b)
		if err != nil {
			return
		}
		again, err := unpackList(packList(list))
		if d := cmp.Diff(list, again); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	})
}

func TestListKeepsNilAndEmptyApart(t *testing.T) {
	for _, want := range [][][]byte{nil, {}, {{}}, {{1, 2}, {}, bytes.Repeat([]byte{3}, 1000)}} {
		got, err := unpackList(packList(want))
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	}
	for _, bad := range [][]byte{{}, {1}, {1, 2, 3}, {0, 0}, {2, 1, 1}, {0x80}} {
		if _, err := unpackList(bad); err == nil {
			t.Errorf("%x was taken", bad)
		}
	}
}
