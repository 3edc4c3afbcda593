package guid

import "testing"

// The expected values are those of Python's uuid.uuid5.
func TestNameGUIDIsVersion5(t *testing.T) {
	for _, c := range []struct{ issuer, subject, want string }{
		{"https://issuer.test", "Anna@example.net", "72b48eba-b13a-5838-a89d-adfb6983c1f5"},
		{"https://kubernetes.default.svc", "system:serviceaccount:default:web", "308db3ea-9d97-5761-893a-e3132760cacf"},
		{"https://issuer.test/realms/x/", "ü", "4b433b13-514a-5be2-bf82-c435cc2b3b34"},
	} {
		if got := OfSubject(c.issuer, c.subject); got != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.issuer, c.subject, got, c.want)
		}
	}
}

// As uuid5(uuid5(NAMESPACE_URL, issuer + "#groups"), group) in Python.
func TestGroupsHaveANameSpaceOfTheirOwn(t *testing.T) {
	for _, c := range []struct{ issuer, group, want string }{
		{"https://issuer.test", "Anna@example.net", "0a389825-b631-5bcc-b523-3feb554e1f04"},
		{"https://issuer.test", "/admins", "597380e6-952a-53e2-aaf3-0c79acfb3751"},
	} {
		if got := OfGroup(c.issuer, c.group); got != c.want || got == OfSubject(c.issuer, c.group) {
			t.Errorf("%s, %s: got %s, want %s", c.issuer, c.group, got, c.want)
		}
	}
}

func TestParseGUID(t *testing.T) {
	const good = "aaaaaaaa-0000-4000-8000-00000000000f"
	for in, want := range map[string]string{
		good:                                   good,
		"AAAAAAAA-0000-4000-8000-00000000000F": good,
		"{" + good + "}":                       "",
		"aaaaaaaa00004000800000000000000f":     "",
		"aaaaaaaa-0000-4000-8000-00000000000g": "",
		"aaaaaaaa-0000-4000-80000-0000000000f": "",
		"":                                     "",
	} {
		if got, ok := Parse(in); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v", in, got, ok)
		}
	}
	a, b := New(), New()
	if got, ok := Parse(a); !ok || got != a || a == b || a[14] != '4' {
		t.Errorf("made %q and %q", a, b)
	}
}
