package keyvault

import (
	"net/url"

	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/seal"
)

// parseGiven reads what create, import and update have in common. ops are the
// words of key_ops, which import has elsewhere.
func parseGiven(in *rest.Input, ops []string) key.Given {
	p := key.Given{Ops: ops, Tags: in.Tags("tags"), Release: parseReleasePolicy(in)}
	written := parseAttributes(in)
	p.Enabled, p.NotBefore, p.Expires = written.enabled, written.notBefore, written.expires
	a := in.Object("attributes")
	p.Exportable, p.External = a.Boolean("exportable"), a.Object("external_key") != nil
	return p
}

// parseReleasePolicy reads the members for their types only: no key here can be
// released, whatever they say.
func parseReleasePolicy(in *rest.Input) bool {
	p := in.Object("release_policy")
	if p == nil {
		return false
	}
	p.Text("contentType")
	p.Bytes("data")
	p.Boolean("immutable")
	return true
}

func parseKeyCreate(_ pipeline.Request, in *rest.Input) key.CreateParams {
	return key.CreateParams{
		Type: in.NeedText("kty"), Size: in.Integer("key_size"), Curve: in.Text("crv"),
		Exponent: in.Integer("public_exponent"), Given: parseGiven(in, in.Texts("key_ops")),
	}
}

func parseKeyImport(_ pipeline.Request, in *rest.Input) key.ImportParams {
	p := key.ImportParams{HSM: in.Is("Hsm")}
	k := in.Object("key")
	switch {
	case k == nil && in.Raw("key") == nil:
		in.Required("key")
	case k != nil && k.Raw("kty") == nil:
		in.Fail(&fault.Error{Kind: fault.Invalid, Field: "key", Msg: `The property "key" must be a valid JsonWebKey object.`})
	case k != nil:
		p.Type, p.Curve = k.NeedText("kty"), k.Text("crv")
		hidden := func(member string) seal.Value { return seal.NewValue(k.Bytes(member)) }
		p.N, p.E, p.D, p.P, p.Q = k.Bytes("n"), k.Bytes("e"), hidden("d"), hidden("p"), hidden("q")
		p.DP, p.DQ, p.QI = hidden("dp"), hidden("dq"), hidden("qi")
		p.X, p.Y, p.K = k.Bytes("x"), k.Bytes("y"), hidden("k")
		p.Transfer = parseTransfer(k)
		p.Given = parseGiven(in, k.Texts("key_ops"))
		return p
	}
	p.Given = parseGiven(in, nil)
	return p
}

// parseTransfer reads a .byok file (contract keys.md, 9.2): which key it was wrapped
// for, and what was wrapped.
func parseTransfer(k *rest.Input) *key.Transfer {
	const member = "key_hsm"
	raw := k.Bytes(member)
	if raw == nil {
		return nil
	}
	file := k.Document(member, raw)
	if file == nil {
		return nil
	}
	file.MustBe("schema_version", "1.0.0")
	t := &key.Transfer{Ciphertext: file.NeedBytes("ciphertext")}
	header := file.Object("header")
	if header == nil {
		file.Required("header")
		return t
	}
	header.MustBe("alg", "dir")
	header.MustBe("enc", "CKM_RSA_AES_KEY_WRAP")
	if id := header.NeedText("kid"); id != "" {
		var ok bool
		if t.KEK, t.Version, ok = parseKeyID(id); !ok {
			header.Invalid("kid")
		}
	}
	return t
}

// parseKeyID reads the id of a version of a key. Its host is not looked at: the
// vault of the request is meant, and no other has this version.
func parseKeyID(id string) (n object.Name, v object.Version, ok bool) {
	u, err := url.Parse(id)
	if err != nil {
		return n, v, false
	}
	path, ok := rest.SplitPath(u.EscapedPath())
	if !ok || path.Len() != 3 || path.Part(0) != string(object.Keys) {
		return n, v, false
	}
	n, nameErr := object.ParseName(path.Part(1))
	v, versionErr := object.ParseVersion(path.Part(2))
	return n, v, nameErr == nil && versionErr == nil
}

func parseKeyUpdate(_ pipeline.Request, in *rest.Input) key.UpdateParams {
	return key.UpdateParams{Given: parseGiven(in, in.Texts("key_ops"))}
}

func parseUse(r pipeline.Request, in *rest.Input, op key.Op) key.UseParams {
	p := key.UseParams{Op: op, KeyID: func(n object.Name, v object.Version) string { return objectID(r, object.Keys, n, v) }}
	if name := in.NeedText("alg"); name != "" {
		var ok bool
		if p.Algorithm, ok = key.ParseAlgorithm(name, op); !ok {
			in.Invalid("alg")
		}
	} else if in.Raw("alg") != nil {
		in.Invalid("alg")
	}
	if op == key.Verify {
		p.Value, p.Signature = in.NeedBytes("digest"), in.NeedBytes("value")
		return p
	}
	p.Value = in.NeedBytes("value")
	p.IV, p.AAD, p.Tag = in.Bytes("iv"), in.Bytes("aad"), in.Bytes("tag")
	return p
}

// parseRelease reads what a release would need.
func parseRelease(_ pipeline.Request, in *rest.Input) pipeline.None {
	in.NeedText("target")
	in.Text("nonce")
	in.Text("enc")
	return pipeline.None{}
}

func parseCount(_ pipeline.Request, in *rest.Input) int {
	count := in.Integer("count")
	if count == nil {
		if in.Raw("count") == nil {
			in.Required("count")
		}
		return 0
	}
	return *count
}

func parseRotationPolicy(_ pipeline.Request, in *rest.Input) (p key.PolicyParams) {
	for _, a := range in.Objects("lifetimeActions") {
		t := a.Object("trigger")
		p.Actions = append(p.Actions, key.ActionParams{AfterCreate: t.Text("timeAfterCreate"), BeforeExpiry: t.Text("timeBeforeExpiry"),
			Type: a.Object("action").NeedText("type")})
	}
	p.Expiry = in.Object("attributes").Text("expiryTime")
	return p
}
