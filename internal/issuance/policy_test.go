package issuance_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/pki"
)

var now = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// subject is the least that a policy needs.
func subject(change ...func(*issuance.Patch)) *issuance.Patch {
	p := &issuance.Patch{X509: issuance.X509Patch{Subject: ptr("CN=x")}}
	for _, f := range change {
		f(p)
	}
	return p
}

func mustPolicy(t testing.TB, p *issuance.Patch) *issuance.Policy {
	t.Helper()
	out, err := issuance.NewPolicy(p, now)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDefaults(t *testing.T) {
	both := []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}
	base := func(change func(*issuance.Policy)) *issuance.Policy {
		p := &issuance.Policy{
			Key: issuance.KeyProps{Type: "RSA", Size: 2048, Exportable: true}, ContentType: "application/x-pkcs12",
			X509:    issuance.X509Props{Subject: "CN=x", EKUs: both, KeyUsage: []string{"digitalSignature", "keyEncipherment"}, ValidityMonths: 12},
			Actions: []issuance.LifetimeAction{{Percentage: 80, Action: issuance.EmailContacts}},
			Issuer:  issuance.IssuerRef{Name: "Unknown"}, Enabled: true, Created: now, Updated: now,
		}
		change(p)
		return p
	}
	ec := func(size int, curve pki.Curve) func(*issuance.Policy) {
		return func(p *issuance.Policy) {
			p.Key = issuance.KeyProps{Type: "EC", Size: size, Curve: curve, Exportable: true}
			p.X509.KeyUsage = []string{"digitalSignature"}
		}
	}
	key := func(k issuance.KeyPatch) *issuance.Patch { return subject(func(p *issuance.Patch) { p.Key = k }) }
	issuer := func(name string) *issuance.Patch {
		return subject(func(p *issuance.Patch) { p.Issuer = issuance.IssuerPatch{Name: &name} })
	}
	renews := func(name string) func(*issuance.Policy) {
		return func(p *issuance.Policy) { p.Issuer.Name, p.Actions[0].Action = name, issuance.AutoRenew }
	}
	for _, c := range []struct {
		claim string
		patch *issuance.Patch
		want  *issuance.Policy
	}{
		{"only a subject", subject(), base(func(*issuance.Policy) {})},
		{"only a name", &issuance.Patch{X509: issuance.X509Patch{SANs: &issuance.SANs{DNSNames: []string{"x.y"}}}},
			base(func(p *issuance.Policy) { p.X509.Subject, p.X509.SANs = "", &issuance.SANs{DNSNames: []string{"x.y"}} })},
		{"empty objects", subject(func(p *issuance.Patch) {
			p.Key, p.Issuer = issuance.KeyPatch{}, issuance.IssuerPatch{}
		}), base(func(*issuance.Policy) {})},
		{"EC", key(issuance.KeyPatch{Type: ptr("ec")}), base(ec(256, "P-256"))},
		{"EC of 256", key(issuance.KeyPatch{Type: ptr("EC"), Size: ptr(256)}), base(ec(256, "P-256"))},
		{"EC of 384", key(issuance.KeyPatch{Type: ptr("EC"), Size: ptr(384)}), base(ec(384, "P-384"))},
		{"EC of 521", key(issuance.KeyPatch{Type: ptr("EC"), Size: ptr(521)}), base(ec(521, "P-521"))},
		{"P-521", key(issuance.KeyPatch{Type: ptr("EC"), Curve: ptr("P-521")}), base(ec(521, "P-521"))},
		{"P-256K with its size", key(issuance.KeyPatch{Type: ptr("EC"), Curve: ptr("P-256K"), Size: ptr(256)}), base(ec(256, "P-256K"))},
		{"the old name of P-256K", key(issuance.KeyPatch{Type: ptr("EC"), Curve: ptr("SECP256K1")}), base(ec(256, "P-256K"))},
		{"RSA of 4096", key(issuance.KeyPatch{Size: ptr(4096), Exportable: ptr(false), Reuse: ptr(true)}),
			base(func(p *issuance.Policy) { p.Key = issuance.KeyProps{Type: "RSA", Size: 4096, Reuse: true} })},
		{"Self renews", issuer("self"), base(renews("self"))},
		{"a named issuer renews", issuer("corp"), base(renews("corp"))},
		{"Unknown tells", issuer("uNKNOWN"), base(func(p *issuance.Policy) { p.Issuer.Name = "uNKNOWN" })},
		{"no issuer name is Unknown", issuer(""), base(func(*issuance.Policy) {})},
		{"no actions", subject(func(p *issuance.Patch) { p.Actions = []issuance.ActionPatch{} }),
			base(func(p *issuance.Policy) { p.Actions = []issuance.LifetimeAction{} })},
		{"empty lists", subject(func(p *issuance.Patch) {
			p.X509.EKUs, p.X509.KeyUsage, p.X509.SANs = []string{}, []string{}, &issuance.SANs{}
		}), base(func(p *issuance.Policy) {
			p.X509.EKUs, p.X509.KeyUsage, p.X509.SANs = []string{}, []string{}, &issuance.SANs{}
		})},
		{"usages sorted, once each, in their spelling", subject(func(p *issuance.Patch) {
			p.X509.KeyUsage = []string{"keyCertSign", "crlSign", "DIGITALSIGNATURE", "cRLSign"}
		}), base(func(p *issuance.Policy) { p.X509.KeyUsage = []string{"cRLSign", "digitalSignature", "keyCertSign"} })},
		{"text as it was sent", subject(func(p *issuance.Patch) {
			p.X509.Subject, p.X509.SANs = ptr("cn=MyCert"), &issuance.SANs{IPAddresses: []string{"2001:0db8::1"}, Emails: []string{}}
		}), base(func(p *issuance.Policy) {
			p.X509.Subject, p.X509.SANs = "cn=MyCert", &issuance.SANs{IPAddresses: []string{"2001:0db8::1"}, Emails: []string{}}
		})},
		{"everything else", subject(func(p *issuance.Patch) {
			p.ContentType = ptr("application/x-PEM-file")
			p.X509.ValidityMonths, p.X509.CA, p.X509.PathLen = ptr(1200), ptr(true), ptr(0)
			p.Issuer = issuance.IssuerPatch{CertificateType: ptr("OV-SSL"), Transparency: ptr(false)}
			p.Enabled = ptr(false)
			p.Actions = []issuance.ActionPatch{{ActionType: ptr("autorenew"), Days: ptr(1200 * 27)}}
			p.PlatformManaged = &issuance.PlatformManaged{CertificateUsage: "u"}
		}), base(func(p *issuance.Policy) {
			p.ContentType, p.X509.ValidityMonths, p.X509.CA, p.X509.PathLen = "application/x-pem-file", 1200, true, ptr(0)
			p.Issuer.CertificateType, p.Issuer.Transparency, p.Enabled = ptr("OV-SSL"), ptr(false), false
			p.Actions = []issuance.LifetimeAction{{Days: 1200 * 27, Action: issuance.AutoRenew}}
			p.PlatformManage = &issuance.PlatformManaged{CertificateUsage: "u"}
		})},
	} {
		got, err := issuance.NewPolicy(c.patch, now)
		if err != nil {
			t.Errorf("%s: %v", c.claim, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.claim, d)
		}
	}
}

// longSubject has 200 characters, the most that are allowed.
var longSubject = strings.Repeat("OU="+strings.Repeat("ä", 60)+", ", 3) + "L=abc"

// refusals are patches of a policy that has a subject, and what is refused.
var refusals = []struct {
	claim string
	patch *issuance.Patch
	field string
	text  string // of the message, when it is recorded
}{
	{"nothing", nil, "policy", "Property policy has invalid value\r\n"},
	{"an empty policy", &issuance.Patch{}, "policy.x509_props", ""},
	{"an empty subject and no names", &issuance.Patch{X509: issuance.X509Patch{Subject: ptr(" "), SANs: &issuance.SANs{DNSNames: []string{}}}}, "policy.x509_props", ""},
	{"no distinguished name", x509(func(x *issuance.X509Patch) { x.Subject = ptr("hello") }), "policy.x509_props",
		"Property policy.x509_props has invalid value. Invalid X.500 distinguished name\r\n"},
	{"an endless subject", x509(func(x *issuance.X509Patch) { x.Subject = ptr(longSubject + "x") }), "policy.x509_props", ""},
	{"oct", key(issuance.KeyPatch{Type: ptr("oct")}), "policy.key_props", ""},
	{"oct-HSM", key(issuance.KeyPatch{Type: ptr("oct-HSM")}), "policy.key_props", ""},
	{"no type", key(issuance.KeyPatch{Type: ptr("")}), "policy.key_props", ""},
	{"an exportable key in hardware", key(issuance.KeyPatch{Type: ptr("RSA-HSM"), Exportable: ptr(true)}), "policy.key_props", ""},
	{"RSA of 1024", key(issuance.KeyPatch{Size: ptr(1024)}), "policy.key_props", ""},
	{"RSA of 0", key(issuance.KeyPatch{Size: ptr(0)}), "policy.key_props", ""},
	{"RSA of -1", key(issuance.KeyPatch{Size: ptr(-1)}), "policy.key_props", ""},
	{"RSA on a curve", key(issuance.KeyPatch{Curve: ptr("P-256")}), "policy.key_props", ""},
	{"an unknown curve", key(issuance.KeyPatch{Type: ptr("EC"), Curve: ptr("P-224")}), "policy.key_props", ""},
	{"a curve of another size", key(issuance.KeyPatch{Type: ptr("EC"), Curve: ptr("P-384"), Size: ptr(256)}), "policy.key_props", ""},
	{"EC of 512", key(issuance.KeyPatch{Type: ptr("EC"), Size: ptr(512)}), "policy.key_props", ""},
	{"EC of 2048", key(issuance.KeyPatch{Type: ptr("EC"), Size: ptr(2048)}), "policy.key_props", ""},
	{"another content type", subject(func(p *issuance.Patch) { p.ContentType = ptr("text/plain") }), "policy.secret_props", ""},
	{"a usage", x509(func(x *issuance.X509Patch) { x.KeyUsage = []string{"digitalSignature", "signing"} }), "policy.x509_props", ""},
	{"an identifier", x509(func(x *issuance.X509Patch) { x.EKUs = []string{"1.3.6.1.5.5.7.3.1", "serverAuth"} }), "policy.x509_props", ""},
	{"101 identifiers", x509(func(x *issuance.X509Patch) { x.EKUs = make([]string, 101) }), "policy.x509_props", ""},
	{"a mail address", x509(func(x *issuance.X509Patch) { x.SANs = &issuance.SANs{Emails: []string{"nobody"}} }), "policy.x509_props.sans.emails", ""},
	{"a DNS name", x509(func(x *issuance.X509Patch) { x.SANs = &issuance.SANs{DNSNames: []string{"a b"}} }), "policy.x509_props.sans.dns_names", ""},
	{"an IP address", x509(func(x *issuance.X509Patch) { x.SANs = &issuance.SANs{IPAddresses: []string{"300.1.1.1"}} }), "policy.x509_props.sans.ipAddresses", ""},
	{"a URI", x509(func(x *issuance.X509Patch) { x.SANs = &issuance.SANs{URIs: []string{"::"}} }), "policy.x509_props.sans.uris", ""},
	{"0 months", x509(func(x *issuance.X509Patch) { x.ValidityMonths = ptr(0) }), "policy.x509_props", ""},
	{"1201 months", x509(func(x *issuance.X509Patch) { x.ValidityMonths = ptr(1201) }), "policy.x509_props", ""},
	{"a path length without ca", x509(func(x *issuance.X509Patch) { x.PathLen = ptr(0) }), "policy.x509_props", ""},
	{"a negative path length", x509(func(x *issuance.X509Patch) {
		x.CA, x.PathLen = ptr(true), ptr(-1)
	}), "policy.x509_props", ""},
	{"two actions", subject(func(p *issuance.Patch) { p.Actions = make([]issuance.ActionPatch, 2) }), "policy.lifetime_actions", "At most one action is allowed"},
	{"no action type", action(issuance.ActionPatch{Days: ptr(1)}), "policy.lifetime_actions", ""},
	{"another action type", action(issuance.ActionPatch{ActionType: ptr("Panic"), Days: ptr(1)}), "policy.lifetime_actions", ""},
	{"no trigger", action(issuance.ActionPatch{ActionType: ptr("AutoRenew")}), "policy.lifetime_actions", ""},
	{"an empty trigger", trigger(nil, nil), "policy.lifetime_actions", ""},
	{"both triggers", trigger(ptr(80), ptr(1)), "policy.lifetime_actions", ""},
	{"0 per cent", trigger(ptr(0), nil), "policy.lifetime_actions", ""},
	{"100 per cent", trigger(ptr(100), nil), "policy.lifetime_actions", ""},
	{"0 days", trigger(nil, ptr(0)), "policy.lifetime_actions", ""},
	{"too many days", trigger(nil, ptr(12*27+1)), "policy.lifetime_actions", ""},
	{"a long issuer name", subject(func(p *issuance.Patch) { p.Issuer = issuance.IssuerPatch{Name: ptr(strings.Repeat("x", 128))} }), "policy.issuer", ""},
	{"a long cty", subject(func(p *issuance.Patch) {
		p.Issuer = issuance.IssuerPatch{CertificateType: ptr(strings.Repeat("x", 257))}
	}), "policy.issuer", ""},
	{"no usage", subject(func(p *issuance.Patch) { p.PlatformManaged = &issuance.PlatformManaged{} }), "policy.platform_managed", ""},
}

func x509(change func(*issuance.X509Patch)) *issuance.Patch {
	return subject(func(p *issuance.Patch) { change(&p.X509) })
}

func key(k issuance.KeyPatch) *issuance.Patch {
	return subject(func(p *issuance.Patch) { p.Key = k })
}

func action(a issuance.ActionPatch) *issuance.Patch {
	return subject(func(p *issuance.Patch) { p.Actions = []issuance.ActionPatch{a} })
}

func trigger(percentage, days *int) *issuance.Patch {
	return action(issuance.ActionPatch{ActionType: ptr("AutoRenew"), Percentage: percentage, Days: days})
}

func checkRefusal(t *testing.T, claim string, err error, field, text string) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Invalid || e.Field != field || text != "" && e.Msg != text {
		t.Errorf("%s: got %#v, want a refusal of %s", claim, err, field)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range refusals {
		_, err := issuance.NewPolicy(c.patch, now)
		checkRefusal(t, c.claim, err, c.field, c.text)
		if c.patch == nil || reflect.ValueOf(c.patch.X509).IsZero() || c.claim == "an empty policy" {
			continue
		}
		// The same by a PATCH, which leaves the policy as it was.
		p := mustPolicy(t, subject())
		before := p.Clone()
		_, err = p.Merge(c.patch, now.Add(time.Hour))
		checkRefusal(t, c.claim+" by PATCH", err, c.field, c.text)
		if d := cmp.Diff(before, p); d != "" {
			t.Errorf("%s: the refused patch changed\n%s", c.claim, d)
		}
	}
	for _, kty := range []string{"RSA-HSM", "ec-hsm"} {
		p := mustPolicy(t, key(issuance.KeyPatch{Type: &kty}))
		if p.Key.Type != strings.ToUpper(kty) || !p.Key.HSM() || p.Key.Exportable || p.Key.Size == 0 {
			t.Errorf("%s: %+v", kty, p.Key)
		}
		// One of software, exportable by default, goes into hardware, and not back
		// out of it by exportable alone.
		soft := mustPolicy(t, subject())
		moved, err := soft.Merge(&issuance.Patch{Key: issuance.KeyPatch{Type: &kty}}, now)
		if err != nil || !moved.Key.HSM() || moved.Key.Exportable {
			t.Errorf("%s: moved to %+v, %v", kty, moved.Key, err)
		}
		_, err = moved.Merge(&issuance.Patch{Key: issuance.KeyPatch{Exportable: ptr(true)}}, now)
		checkRefusal(t, "exportable in hardware", err, "policy.key_props", "")
		back, err := moved.Merge(&issuance.Patch{Key: issuance.KeyPatch{Type: ptr("RSA")}}, now)
		if err != nil || back.Key.HSM() || back.Key.Exportable {
			t.Errorf("%s: back as %+v, %v", kty, back.Key, err)
		}
	}
	// At the bounds.
	mustPolicy(t, x509(func(x *issuance.X509Patch) { x.Subject = &longSubject }))
	mustPolicy(t, x509(func(x *issuance.X509Patch) { x.ValidityMonths = ptr(1) }))
	mustPolicy(t, trigger(nil, ptr(12*27)))
	mustPolicy(t, trigger(ptr(99), nil))
}

func TestMerge(t *testing.T) {
	later := now.Add(time.Hour)
	rsa := subject(func(p *issuance.Patch) {
		p.Key = issuance.KeyPatch{Size: ptr(3072), Reuse: ptr(true)}
		p.X509.KeyUsage, p.X509.SANs = []string{"dataEncipherment"}, &issuance.SANs{DNSNames: []string{"a.b"}, Emails: []string{"a@b.c"}}
		p.X509.CA, p.X509.PathLen = ptr(true), ptr(3)
	})
	for _, c := range []struct {
		claim string
		patch *issuance.Patch
		want  func(*issuance.Policy)
	}{
		{"nothing", nil, func(*issuance.Policy) {}},
		{"empty objects", &issuance.Patch{Key: issuance.KeyPatch{}, X509: issuance.X509Patch{}, Issuer: issuance.IssuerPatch{}},
			func(*issuance.Policy) {}},
		{"a scalar", &issuance.Patch{X509: issuance.X509Patch{ValidityMonths: ptr(2)}}, func(p *issuance.Policy) { p.X509.ValidityMonths = 2 }},
		{"an array", &issuance.Patch{X509: issuance.X509Patch{EKUs: []string{}}}, func(p *issuance.Policy) { p.X509.EKUs = []string{} }},
		{"the sdk's switch to EC", &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("EC"), Curve: ptr("P-256K"), Size: ptr(256), Exportable: ptr(true), Reuse: ptr(false)}},
			func(p *issuance.Policy) {
				p.Key = issuance.KeyProps{Type: "EC", Curve: "P-256K", Size: 256, Exportable: true}
			}},
		{"a switch to EC alone", &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("EC")}},
			func(p *issuance.Policy) {
				p.Key = issuance.KeyProps{Type: "EC", Curve: "P-256", Size: 256, Exportable: true, Reuse: true}
			}},
		{"the same type again", &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("rsa")}}, func(*issuance.Policy) {}},
		{"one list of names", &issuance.Patch{X509: issuance.X509Patch{SANs: &issuance.SANs{Emails: []string{}, URIs: []string{"https://x.y"}}}},
			func(p *issuance.Policy) {
				p.X509.SANs = &issuance.SANs{DNSNames: []string{"a.b"}, Emails: []string{}, URIs: []string{"https://x.y"}}
			}},
		{"no ca, and so no path length", &issuance.Patch{X509: issuance.X509Patch{CA: ptr(false)}},
			func(p *issuance.Policy) { p.X509.CA, p.X509.PathLen = false, nil }},
		{"actions as a whole", trigger(nil, ptr(5)), func(p *issuance.Policy) {
			p.Actions = []issuance.LifetimeAction{{Days: 5, Action: issuance.AutoRenew}}
		}},
		{"no actions", &issuance.Patch{Actions: []issuance.ActionPatch{}}, func(p *issuance.Policy) { p.Actions = []issuance.LifetimeAction{} }},
		{"an issuer; the action stays", &issuance.Patch{Issuer: issuance.IssuerPatch{Name: ptr("Self"), Transparency: ptr(false)}},
			func(p *issuance.Policy) { p.Issuer = issuance.IssuerRef{Name: "Self", Transparency: ptr(false)} }},
		{"no issuer name", &issuance.Patch{Issuer: issuance.IssuerPatch{Name: ptr("")}}, func(*issuance.Policy) {}},
		{"switched off", &issuance.Patch{Enabled: ptr(false)}, func(p *issuance.Policy) { p.Enabled = false }},
	} {
		p := mustPolicy(t, rsa)
		want := p.Clone()
		c.want(want)
		want.Updated = later
		got, err := p.Merge(c.patch, later)
		if err != nil {
			t.Errorf("%s: %v", c.claim, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.claim, d)
		}
	}
	// Back from EC to RSA, and from curve to curve.
	p := mustPolicy(t, key(issuance.KeyPatch{Type: ptr("EC"), Curve: ptr("P-521")}))
	for _, c := range []struct {
		patch issuance.KeyPatch
		want  pki.KeySpec
	}{
		{issuance.KeyPatch{Type: ptr("RSA")}, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}},
		{issuance.KeyPatch{Curve: ptr("P-384")}, pki.KeySpec{Algorithm: pki.EC, Size: 384, Curve: pki.P384}},
		{issuance.KeyPatch{Size: ptr(256)}, pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256}},
		{issuance.KeyPatch{Size: ptr(521)}, pki.KeySpec{Algorithm: pki.EC, Size: 521, Curve: pki.P521}},
	} {
		got, err := p.Merge(&issuance.Patch{Key: c.patch}, later)
		if err != nil || got.Key.Spec() != c.want {
			t.Errorf("%+v: %v", got, err)
		}
	}
}

func TestNextAction(t *testing.T) {
	day := 24 * time.Hour
	from, to := now, now.Add(100*day)
	percent := func(p int) []issuance.LifetimeAction { return []issuance.LifetimeAction{{Percentage: p}} }
	for _, c := range []struct {
		claim    string
		p        issuance.Policy
		from, to time.Time
		want     time.Time
	}{
		{"80 per cent", issuance.Policy{Enabled: true, Actions: percent(80)}, from, to, from.Add(80 * day)},
		{"1 per cent", issuance.Policy{Enabled: true, Actions: percent(1)}, from, to, from.Add(day)},
		{"of a second", issuance.Policy{Enabled: true, Actions: percent(50)}, from, from.Add(time.Second), from},
		{"of 99 seconds", issuance.Policy{Enabled: true, Actions: percent(99)}, from, from.Add(99 * time.Second), from.Add(98 * time.Second)},
		{"of 8,000 years", issuance.Policy{Enabled: true, Actions: percent(50)}, time.Unix(0, 0), time.Unix(8000*366*86400, 0), time.Unix(4000*366*86400, 0)},
		{"5 days", issuance.Policy{Enabled: true, Actions: []issuance.LifetimeAction{{Days: 5}}}, from, to, to.Add(-5 * day)},
		{"switched off", issuance.Policy{Actions: percent(80)}, from, to, time.Time{}},
		{"no action", issuance.Policy{Enabled: true}, from, to, time.Time{}},
	} {
		got := c.p.NextAction(c.from, c.to)
		if !got.Equal(c.want) || !got.IsZero() && got.Location() != time.UTC {
			t.Errorf("%s: %v, want %v", c.claim, got, c.want)
		}
	}
	// Days are of 86,400 seconds, wherever the clock stands.
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	spring := time.Date(2026, 4, 1, 12, 0, 0, 0, zone) // summer time began on 29 March
	p := issuance.Policy{Enabled: true, Actions: []issuance.LifetimeAction{{Days: 10}}}
	if got := p.NextAction(now, spring); got.Unix() != spring.Unix()-10*86400 {
		t.Errorf("got %v", got)
	}
}

// Every pointer and list of a copy is its own.
func TestCloneIsIndependent(t *testing.T) {
	p := mustPolicy(t, subject(func(p *issuance.Patch) {
		all := []string{"a@b.c"}
		p.X509.SANs = &issuance.SANs{Emails: all, DNSNames: []string{"a.b"}, UPNs: all, URIs: []string{"urn:a:b"}, IPAddresses: []string{"::1"}}
		p.X509.CA, p.X509.PathLen = ptr(true), ptr(1)
		p.Issuer = issuance.IssuerPatch{Name: ptr("x"), CertificateType: ptr("y"), Transparency: ptr(true)}
		p.PlatformManaged = &issuance.PlatformManaged{CertificateUsage: "u"}
	}))
	before, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := p.Clone()
	if d := cmp.Diff(p, c); d != "" {
		t.Fatal(d)
	}
	overwrite(reflect.ValueOf(c).Elem())
	if after, _ := json.Marshal(p); string(after) != string(before) {
		t.Errorf("the copy shares memory:\n%s\n%s", before, after)
	}
	if got := (&issuance.Policy{}).Clone(); !reflect.DeepEqual(got, &issuance.Policy{}) {
		t.Errorf("%+v", got)
	}
}

// overwrite clears everything that v reaches through pointers and lists.
func overwrite(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			overwrite(v.Elem())
		}
		return
	case reflect.Slice:
		for i := range v.Len() {
			overwrite(v.Index(i))
		}
		return
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				overwrite(v.Field(i))
			}
			return
		}
	}
	v.SetZero()
}
