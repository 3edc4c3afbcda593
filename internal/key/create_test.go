package key_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

func TestCreateMakesWhatIsAskedFor(t *testing.T) {
	w := newInstallation(t)
	all := []key.Op{key.Encrypt, key.Decrypt, key.Sign, key.Verify, key.WrapKey, key.UnwrapKey}
	from, to := beginning.Add(-time.Hour), beginning.AddDate(100, 0, 0)
	for _, c := range []struct {
		params key.CreateParams
		spec   pki.KeySpec
		ops    []key.Op
	}{
		{key.CreateParams{Type: "RSA"}, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, all},
		{key.CreateParams{Type: "rsa", Size: ptr(3072), Exponent: ptr(65537), Curve: ptr("ignored")}, pki.KeySpec{Algorithm: pki.RSA, Size: 3072}, all},
		{key.CreateParams{Type: "RSA", Exponent: ptr(0)}, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, all}, // of the Java client
		{key.CreateParams{Type: "EC", Size: ptr(7)}, pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256}, all[2:4]},
		{key.CreateParams{Type: "EC", Curve: ptr("P-384")}, pki.KeySpec{Algorithm: pki.EC, Size: 384, Curve: pki.P384}, all[2:4]},
		{key.CreateParams{Type: "EC", Curve: ptr("p-521")}, pki.KeySpec{Algorithm: pki.EC, Size: 521, Curve: pki.P521}, all[2:4]},
		{key.CreateParams{Type: "EC", Curve: ptr("P-256K")}, pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256K}, all[2:4]},
		{key.CreateParams{Type: "EC", Curve: ptr("SECP256K1")}, pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256K}, all[2:4]},
		{key.CreateParams{Type: "RSA", Given: key.Given{Ops: []string{}}}, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, all},
		{key.CreateParams{Type: "RSA", Given: key.Given{Ops: []string{"verify", "sign", "verify"}}}, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, []key.Op{key.Verify, key.Sign}},
	} {
		b, err := w.create("web", c.params)
		if err != nil {
			t.Errorf("%+v: %v", c.params, err)
			continue
		}
		v := b.Version
		public, err := pki.ParsePublic(v.Public)
		w.must(err)
		if spec, err := pki.SpecOf(public); err != nil || spec != c.spec || v.Spec != c.spec || !slices.Equal(v.Ops, c.ops) {
			t.Errorf("%+v: %+v %v", c.params, v.Spec, v.Ops)
		}
		if a := v.Attributes; !a.Enabled || a.NotBefore != nil || a.Expires != nil || a.Created != beginning || a.Updated != beginning || v.Tags != nil || v.Exportable {
			t.Errorf("%+v: %+v", c.params, v)
		}
		if b.Head.Current != v.Version || w.get("web").Version.Version != v.Version {
			t.Errorf("%+v: the current version is %s", c.params, b.Head.Current)
		}
	}
	b, err := w.create("WEB", key.CreateParams{Type: "EC", Given: key.Given{
		Enabled: ptr(false), NotBefore: &from, Expires: &to, Exportable: ptr(false), Tags: object.Tags{}}})
	w.must(err)
	if a := b.Version.Attributes; a.Enabled || !a.NotBefore.Equal(from) || !a.Expires.Equal(to) || b.Version.Tags == nil {
		t.Errorf("%+v", b.Version)
	}
	if b.Head.Name.String() != "web" || b.Version.Name.String() != "web" {
		t.Errorf("the name is spelled %s", b.Head.Name)
	}
	versions, _, _, err := w.service.ListVersions(t.Context(), w.grant(access.KeyListVersions, "web"), object.Page{Limit: 25})
	if err != nil || len(versions) != 11 {
		t.Errorf("%d versions, %v", len(versions), err)
	}
	w.check()
}

func TestCreateRefuses(t *testing.T) {
	w := newInstallation(t)
	many := object.Tags{}
	for i := range 16 {
		many[strings.Repeat("x", i+1)] = ""
	}
	const hardware = "Hardware key operation not allowed on standard vault"
	for _, c := range []struct {
		params key.CreateParams
		kind   fault.Kind
		reason fault.Reason
		text   string
	}{
		{key.CreateParams{Type: "oct"}, fault.Invalid, fault.KeyTypeNotSupported, "Invalid kty value: oct"},
		{key.CreateParams{Type: "AKP"}, fault.Invalid, fault.KeyTypeNotSupported, "Invalid kty value: AKP"},
		{key.CreateParams{Type: ""}, fault.Invalid, fault.KeyTypeNotSupported, "Invalid kty value: "},
		{key.CreateParams{Type: strings.Repeat("é", 500)}, fault.Invalid, fault.KeyTypeNotSupported, "Invalid kty value: éééééééééééééééé…"},
		{key.CreateParams{Type: "RSA-HSM"}, fault.Forbidden, "", hardware},
		{key.CreateParams{Type: "EC-HSM"}, fault.Forbidden, "", hardware},
		{key.CreateParams{Type: "oct-HSM"}, fault.Forbidden, "", hardware},
		{key.CreateParams{Type: "RSA", Size: ptr(1024)}, fault.Invalid, fault.KeySizeNotSupported, "Unsupported key size (1024). Supported sizes are [2048, 3072, 4096]"},
		{key.CreateParams{Type: "RSA", Size: ptr(-1)}, fault.Invalid, fault.KeySizeNotSupported, "(-1)"},
		{key.CreateParams{Type: "RSA", Exponent: ptr(3)}, fault.Invalid, "", "Property public_exponent has invalid value"},
		{key.CreateParams{Type: "EC", Curve: ptr("P-224")}, fault.Invalid, "", "Property crv has invalid value"},
		{key.CreateParams{Type: "EC", Given: key.Given{Ops: []string{"wrapKey", "sign", "unwrapKey"}}}, fault.Invalid, "",
			`Unsupported key operation(s): "wrapKey", "unwrapKey". Supported values are "sign", "verify".`},
		{key.CreateParams{Type: "RSA", Given: key.Given{Ops: []string{"import"}}}, fault.Invalid, "", `Unsupported key operation(s): "import". Supported`},
		{key.CreateParams{Type: "RSA", Given: key.Given{Ops: []string{"sign", "export"}}}, fault.Invalid, "", `Unsupported key operation(s): "export".`},
		{key.CreateParams{Type: "RSA", Given: key.Given{Ops: []string{"fly\u202e"}}}, fault.Invalid, "", "Property key_ops has invalid value\r\n"},
		{key.CreateParams{Type: "EC", Given: key.Given{NotBefore: &beginning, Expires: &beginning}}, fault.Invalid, "", "Property attributes.exp has invalid value. It must lie after nbf."},
		{key.CreateParams{Type: "EC", Given: key.Given{Tags: many}}, fault.Invalid, "", "Property tags has invalid value."},
		{key.CreateParams{Type: "EC", Given: key.Given{Exportable: ptr(true)}}, fault.Invalid, "", "AKV.SKR.1001:"},
		{key.CreateParams{Type: "EC", Given: key.Given{Release: true}}, fault.Invalid, "", "AKV.SKR.1005:"},
		{key.CreateParams{Type: "EC", Given: key.Given{External: true}}, fault.Unsupported, "", "External keys"},
	} {
		_, err := w.create("web", c.params)
		w.refused(err, c.kind, c.reason, c.text)
	}
	// No software key is called one of an HSM in a premium vault either.
	for _, c := range []struct {
		params key.CreateParams
		kind   fault.Kind
		text   string
	}{
		{key.CreateParams{Type: "RSA-HSM"}, fault.Forbidden, hardware},
		{key.CreateParams{Type: "EC", Given: key.Given{Exportable: ptr(true)}}, fault.Invalid, "AKV.SKR.1004:"},
		{key.CreateParams{Type: "EC", Given: key.Given{Exportable: ptr(true), Release: true}}, fault.Invalid, "AKV.SKR.1006:"},
	} {
		_, err := w.service.Create(t.Context(), w.grantIn(w.premium, access.KeyCreate, "web"), c.params)
		w.refused(err, c.kind, "", c.text)
	}
	if w.dump("web") != "" {
		t.Error("a refusal left something")
	}
}

func TestImportMakesAVersion(t *testing.T) {
	w := newInstallation(t)
	for _, spec := range []pki.KeySpec{{Algorithm: pki.RSA, Size: 2048}, p521, {Algorithm: pki.EC, Size: 256, Curve: pki.P256K}} {
		k, err := w.Generate(t.Context(), spec)
		w.must(err)
		p := imported(k)
		p.Ops, p.Tags = []string{"verify"}, object.Tags{"a": "b"}
		b, err := w.importing("web", p)
		w.must(err)
		public, err := pki.ParsePublic(b.Version.Public)
		w.must(err)
		if !pki.PublicEqual(public, k.Public()) || b.Version.Spec != spec || !slices.Equal(b.Version.Ops, []key.Op{key.Verify}) || b.Version.Tags["a"] != "b" {
			t.Errorf("%+v: %+v", spec, b.Version)
		}
	}
	w.check()
}

var p521 = pki.KeySpec{Algorithm: pki.EC, Size: 521, Curve: pki.P521}

func TestImportRefuses(t *testing.T) {
	w := newInstallation(t)
	rsa, err := w.Generate(t.Context(), pki.KeySpec{Algorithm: pki.RSA, Size: 2048})
	w.must(err)
	ec, err := w.Generate(t.Context(), p521)
	w.must(err)
	for _, c := range []struct {
		claim  string
		k      key.ImportParams
		change func(*key.ImportParams)
		kind   fault.Kind
		reason fault.Reason
		text   string
	}{
		{"a hardware type", imported(rsa), func(p *key.ImportParams) { p.Type = "RSA-HSM" }, fault.Forbidden, "", "Hardware key operation"},
		{"hardware", imported(ec), func(p *key.ImportParams) { p.HSM = true }, fault.Forbidden, "", "Hardware key operation"},
		{"symmetric", imported(rsa), func(p *key.ImportParams) { p.Type = "oct" }, fault.Invalid, fault.KeyTypeNotSupported, "Invalid kty value: oct"},
		{"no private part", imported(rsa), func(p *key.ImportParams) { p.D, p.Q = seal.Value{}, seal.Value{} }, fault.Invalid, "", "Property 'key.d' is required.\r\nProperty 'key.q' is required.\r\n"},
		{"no point", imported(ec), func(p *key.ImportParams) { p.X, p.Curve = nil, nil }, fault.Invalid, "", "Property 'key.x' is required.\r\nProperty 'key.crv' is required.\r\n"},
		{"a small modulus", imported(rsa), func(p *key.ImportParams) { p.N = append([]byte{0x80}, p.N[129:]...) }, fault.Invalid, fault.KeySizeNotSupported, "Unsupported key size (1024)"},
		{"no modulus", imported(rsa), func(p *key.ImportParams) { p.N = []byte{0} }, fault.Invalid, fault.KeySizeNotSupported, "(0)"},
		{"another exponent", imported(rsa), func(p *key.ImportParams) { p.E = []byte{3} }, fault.Invalid, "", "Property key has invalid value"},
		{"dp of another key", imported(rsa), func(p *key.ImportParams) { p.DP = seal.NewValue([]byte{3}) }, fault.Invalid, "", "Property key has invalid value"},
		{"another curve", imported(ec), func(p *key.ImportParams) { p.Curve = ptr("P-384") }, fault.Invalid, "", "Property key has invalid value"},
		{"an unknown curve", imported(ec), func(p *key.ImportParams) { p.Curve = ptr("Ed25519") }, fault.Invalid, "", "Property key.crv has invalid value"},
		{"another scalar", imported(ec), func(p *key.ImportParams) { p.D = seal.NewValue([]byte{1}) }, fault.Invalid, "", "Property key has invalid value"},
		{"operations", imported(ec), func(p *key.ImportParams) { p.Ops = []string{"encrypt"} }, fault.Invalid, "", "Unsupported key operation(s): \"encrypt\"."},
		{"unknown operations", imported(ec), func(p *key.ImportParams) { p.Ops = []string{"x"} }, fault.Invalid, "", "Property key.key_ops has invalid value"},
		{"exportable", imported(ec), func(p *key.ImportParams) { p.Exportable = ptr(true) }, fault.Invalid, "", "AKV.SKR.1001"},
	} {
		c.change(&c.k)
		_, err := w.importing("web", c.k)
		w.refused(err, c.kind, c.reason, c.text)
	}
	if w.dump("web") != "" {
		t.Error("a refusal left something")
	}
}

// A key that gives itself away is refused by the name of what is wrong with it; a small
// public exponent does not, and the contract takes it (contract keys.md, 12, question 16).
func TestImportNamesWhatMakesAKeyWeak(t *testing.T) {
	w := newInstallation(t)
	made := func(args ...string) crypto.Signer {
		raw, err := exec.Command("openssl", append([]string{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, args...)...).Output()
		w.must(err)
		block, _ := pem.Decode(raw)
		k, err := pki.ParsePKCS8(block.Bytes)
		w.must(err)
		return k
	}
	raw, err := os.ReadFile("../pki/testdata/roca.pem")
	w.must(err)
	block, _ := pem.Decode(raw)
	roca, err := pki.ParsePKCS8(block.Bytes)
	w.must(err)
	good := made().(*rsa.PrivateKey)
	same := imported(good)
	p := good.Primes[0]
	same.N, same.Q = new(big.Int).Mul(p, p).Bytes(), same.P
	short := imported(good)
	short.D = seal.NewValue([]byte{1, 0, 1})
	zero := seal.NewValue(make([]byte, 32))
	order := seal.NewValue(elliptic.P256().Params().N.Bytes())
	ec, err := w.Generate(t.Context(), pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256})
	w.must(err)
	with := func(d seal.Value) key.ImportParams { k := imported(ec); k.D = d; return k }
	one := imported(ec)
	one.X, one.Y = elliptic.P256().Params().Gx.Bytes(), elliptic.P256().Params().Gy.Bytes()
	one.D = seal.NewValue([]byte{1})
	for _, c := range []struct {
		claim string
		k     key.ImportParams
		text  string
	}{
		{"ROCA", imported(roca), "ROCA, CVE-2017-15361"},
		{"the same primes", same, "its primes p and q are the same: make a new key"},
		{"a tiny d", short, "its private exponent d is too small"},
		{"a scalar of 1", one, "its private scalar is too small"},
		{"a scalar of 0", with(zero), "scalar is out of range"},
		{"the order as scalar", with(order), "scalar is out of range"},
	} {
		_, err := w.importing("web", c.k)
		w.refused(err, fault.Invalid, "", c.text)
	}
	if w.dump("web") != "" {
		t.Error("a refusal left something")
	}
	_, err = w.importing("web", imported(made("-pkeyopt", "rsa_keygen_pubexp:3")))
	w.must(err)
}

func TestUpdateChangesOneVersion(t *testing.T) {
	w := newInstallation(t)
	first := w.made("web", "RSA", func(p *key.CreateParams) { p.Tags = object.Tags{"a": "b"} }).Version.Version
	second := w.made("web", "RSA").Version.Version
	w.pass(time.Hour)
	to := beginning.AddDate(1, 0, 0)
	b, err := w.update("web", first, key.Given{Enabled: ptr(false), Expires: &to, Ops: []string{"sign"}, Exportable: ptr(false)})
	w.must(err)
	v := b.Version
	if v.Version != first || v.Attributes.Enabled || !v.Attributes.Expires.Equal(to) || len(v.Ops) != 1 || v.Tags["a"] != "b" ||
		v.Attributes.Created != beginning || v.Attributes.Updated != beginning.Add(time.Hour) {
		t.Errorf("%+v", v)
	}
	if at := w.dueAt(key.NoticeJob, "web"); !at.IsZero() {
		t.Errorf("an old version has a notice at %v", at)
	}
	if b := w.get("web"); b.Version.Version != second || !b.Version.Attributes.Enabled {
		t.Errorf("%+v", b.Version)
	}
	if b, err = w.update("web", "", key.Given{Ops: []string{}, Tags: object.Tags{}}); err != nil || b.Version.Version != second || b.Version.Ops == nil || len(b.Version.Ops) != 0 || b.Version.Tags == nil {
		t.Errorf("%+v, %v", b, err)
	}
	before := w.dump("web")
	for _, c := range []struct {
		ver   object.Version
		given key.Given
		kind  fault.Kind
		text  string
	}{
		{first, key.Given{NotBefore: &to}, fault.Invalid, "Property attributes.exp has invalid value. It must lie after nbf."},
		{"", key.Given{Exportable: ptr(true)}, fault.Invalid, "AKV.SKR.1003:"},
		{first, key.Given{Release: true}, fault.Invalid, "AKV.SKR.1016:"},
		{"", key.Given{Release: true}, fault.Invalid, "AKV.SKR.1005:"},
		{"", key.Given{External: true}, fault.Unsupported, ""},
		{"", key.Given{Ops: []string{"import"}}, fault.Invalid, "Unsupported key operation(s)"},
		{"", key.Given{Tags: object.Tags{strings.Repeat("x", 257): ""}}, fault.Invalid, "Property tags"},
		{id(7), key.Given{}, fault.NotFound, "web/" + string(id(7))},
	} {
		_, err := w.update("web", c.ver, c.given)
		w.refused(err, c.kind, "", c.text)
	}
	_, err = w.update("nobody", id(7), key.Given{})
	w.refused(err, fault.NotFound, "", "(name/id) nobody was") // recorded: without the version
	if w.dump("web") != before {
		t.Error("a refusal changed something")
	}
	w.check()
}
