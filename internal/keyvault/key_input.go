package keyvault

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
)

// toURLAlphabet turns base64 into base64url.
var toURLAlphabet = strings.NewReplacer("+", "-", "/", "_")

// bytes reads a binary member: base64url without padding. Padding and the
// standard alphabet are taken too, for tools that know no other (contract
// keys.md, 2). nil when it is absent, empty when it is empty.
func (o *input) bytes(name string) []byte {
	text := o.text(name)
	if text == nil {
		return nil
	}
	plain := toURLAlphabet.Replace(strings.TrimRight(*text, "="))
	b, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil || strings.ContainsAny(plain, "\r\n") { // which the decoder passes over
		o.fail(&fault.Error{Kind: fault.Invalid, Field: o.path + name, Msg: "Content of '" + o.path + name + "' is not base64url.\r\n"})
		return []byte{}
	}
	return b
}

// needBytes is bytes for a member that must be there.
func (o *input) needBytes(name string) []byte {
	if o.raw(name) == nil {
		o.required(name)
	}
	return o.bytes(name)
}

// needText is text for a member that must be there.
func (o *input) needText(name string) string {
	if text := o.text(name); text != nil {
		return *text
	}
	if o.raw(name) == nil {
		o.required(name)
	}
	return ""
}

// parseGiven reads what create, import and update have in common. ops are the
// words of key_ops, which import has elsewhere.
func parseGiven(in *input, ops []string) key.Given {
	p := key.Given{Ops: ops, Tags: in.tags("tags"), Release: parseReleasePolicy(in)}
	written := parseAttributes(in)
	p.Enabled, p.NotBefore, p.Expires = written.enabled, written.notBefore, written.expires
	if a := in.object("attributes"); a != nil {
		p.Exportable = a.boolean("exportable")
		p.External = a.object("external_key") != nil
	}
	return p
}

// parseReleasePolicy reads the members for their types only: no key here can be
// released, whatever they say.
func parseReleasePolicy(in *input) bool {
	p := in.object("release_policy")
	if p == nil {
		return false
	}
	p.text("contentType")
	p.bytes("data")
	p.boolean("immutable")
	return true
}

func parseKeyCreate(_ *call, in *input) key.CreateParams {
	return key.CreateParams{
		Type: in.needText("kty"), Size: in.integer("key_size"), Curve: in.text("crv"),
		Exponent: in.integer("public_exponent"), Given: parseGiven(in, in.texts("key_ops")),
	}
}

func parseKeyImport(_ *call, in *input) key.ImportParams {
	p := key.ImportParams{HSM: in.is("Hsm")}
	k := in.object("key")
	switch {
	case k == nil && in.raw("key") == nil:
		in.required("key")
	case k != nil && k.raw("kty") == nil:
		in.fail(&fault.Error{Kind: fault.Invalid, Field: "key", Msg: `The property "key" must be a valid JsonWebKey object.`})
	case k != nil:
		p.Type, p.Curve = k.needText("kty"), k.text("crv")
		p.N, p.E, p.D, p.P, p.Q = k.bytes("n"), k.bytes("e"), k.bytes("d"), k.bytes("p"), k.bytes("q")
		p.DP, p.DQ, p.QI = k.bytes("dp"), k.bytes("dq"), k.bytes("qi")
		p.X, p.Y, p.K = k.bytes("x"), k.bytes("y"), k.bytes("k")
		p.Transfer = parseTransfer(k)
		p.Given = parseGiven(in, k.texts("key_ops"))
		return p
	}
	p.Given = parseGiven(in, nil)
	return p
}

// parseTransfer reads a .byok file (contract keys.md, 9.2): which key it was wrapped
// for, and what was wrapped.
func parseTransfer(k *input) *key.Transfer {
	const member = "key_hsm"
	raw := k.bytes(member)
	if raw == nil {
		return nil
	}
	file := k.document(member, raw)
	if file == nil {
		return nil
	}
	file.mustBe("schema_version", "1.0.0")
	t := &key.Transfer{Ciphertext: file.needBytes("ciphertext")}
	header := file.object("header")
	if header == nil {
		file.required("header")
		return t
	}
	header.mustBe("alg", "dir")
	header.mustBe("enc", "CKM_RSA_AES_KEY_WRAP")
	if id := header.needText("kid"); id != "" {
		var ok bool
		if t.KEK, t.Version, ok = parseKeyID(id); !ok {
			header.invalid("kid")
		}
	}
	return t
}

// mustBe reads a text that has one value only.
func (o *input) mustBe(name, want string) {
	switch got := o.text(name); {
	case got == nil && o.raw(name) == nil:
		o.required(name)
	case got != nil && *got != want:
		o.invalid(name)
	}
}

// document reads a member that holds a JSON object of its own, within the bounds
// of a body.
func (o *input) document(name string, raw []byte) *input {
	in := &input{path: o.path + name + ".", report: o.report}
	if checkShape(raw) != nil || !utf8.Valid(raw) || !json.Valid(raw) || !in.fill(raw) {
		o.invalid(name)
		return nil
	}
	return in
}

// parseKeyID reads the id of a version of a key. Its host is not looked at: the
// vault of the request is meant, and no other has this version.
func parseKeyID(id string) (n object.Name, v object.Version, ok bool) {
	u, err := url.Parse(id)
	if err != nil {
		return n, v, false
	}
	path, ok := splitPath(u.EscapedPath())
	if !ok || path.n != 3 || path.part[0] != string(object.Keys) {
		return n, v, false
	}
	n, nameErr := object.ParseName(path.part[1])
	v, versionErr := object.ParseVersion(path.part[2])
	return n, v, nameErr == nil && versionErr == nil
}

func parseKeyUpdate(_ *call, in *input) key.UpdateParams {
	return key.UpdateParams{Given: parseGiven(in, in.texts("key_ops"))}
}

func parseUse(c *call, in *input, op key.Op) key.UseParams {
	p := key.UseParams{Op: op, KeyID: func(n object.Name, v object.Version) string { return c.objectID(object.Keys, n, v) }}
	if name := in.needText("alg"); name != "" {
		var ok bool
		if p.Algorithm, ok = key.ParseAlgorithm(name, op); !ok {
			in.invalid("alg")
		}
	} else if in.raw("alg") != nil {
		in.invalid("alg")
	}
	if op == key.Verify {
		p.Value, p.Signature = in.needBytes("digest"), in.needBytes("value")
		return p
	}
	p.Value = in.needBytes("value")
	p.IV, p.AAD, p.Tag = in.bytes("iv"), in.bytes("aad"), in.bytes("tag")
	return p
}

// parseRelease reads what a release would need.
func parseRelease(_ *call, in *input) none {
	in.needText("target")
	in.text("nonce")
	in.text("enc")
	return none{}
}

func parseCount(_ *call, in *input) int {
	count := in.integer("count")
	if count == nil {
		if in.raw("count") == nil {
			in.required("count")
		}
		return 0
	}
	return *count
}

func parseRotationPolicy(_ *call, in *input) (p key.PolicyParams) {
	for _, a := range in.objects("lifetimeActions") {
		var out key.ActionParams
		if t := a.object("trigger"); t != nil {
			out.AfterCreate, out.BeforeExpiry = t.text("timeAfterCreate"), t.text("timeBeforeExpiry")
		}
		if t := a.object("action"); t != nil {
			out.Type = t.needText("type")
		}
		p.Actions = append(p.Actions, out)
	}
	if a := in.object("attributes"); a != nil {
		p.Expiry = a.text("expiryTime")
	}
	return p
}
