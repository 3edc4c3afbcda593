package keyvault

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"

	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/pki"
	"coffer/internal/rest"
)

// keyBundle is contract keys.md, 4.1.
type keyBundle struct {
	Key        jsonWebKey        `json:"key"`
	Attributes keyAttributes     `json:"attributes"`
	Tags       map[string]string `json:"tags,omitzero"`
	Managed    bool              `json:"managed,omitempty"`
}

// jsonWebKey is the public half of a key (contract keys.md, 4.2). There are no
// members for the private one.
type jsonWebKey struct {
	ID    string   `json:"kid"`
	Type  string   `json:"kty"`
	Ops   []key.Op `json:"key_ops"`
	N     string   `json:"n,omitempty"`
	E     string   `json:"e,omitempty"`
	Curve string   `json:"crv,omitempty"`
	X     string   `json:"x,omitempty"`
	Y     string   `json:"y,omitempty"`
}

type keyAttributes struct {
	attributes
	Exportable *bool  `json:"exportable,omitempty"`
	Platform   string `json:"hsmPlatform,omitempty"`
	Size       int    `json:"key_size,omitempty"`
}

type keyItem struct {
	ID         string            `json:"kid"`
	Attributes keyAttributes     `json:"attributes"`
	Tags       map[string]string `json:"tags,omitzero"`
	Managed    bool              `json:"managed,omitempty"`
}

// The platforms of contract keys.md, 4.3: software, and the first generation of
// HSMs. Of which kind the HSM is, nobody here can tell.
const (
	platformSoftware = "0"
	platformHSM      = "1"
)

func newKeyAttributes(r pipeline.Request, v *key.Version, h object.Head) keyAttributes {
	a := keyAttributes{attributes: fullAttributes(r, v.Attributes, customizedKeys)}
	if r.Version().Has(exportableKeys) {
		// Of a certificate's key the policy's exportable concerns the secret; the
		// attribute is about key release (contract keys.md, 6).
		exportable := v.Exportable && !h.Managed
		a.Exportable = &exportable
	}
	if r.Version().Has(hsmPlatform) {
		if a.Platform = platformSoftware; !v.HSM.IsZero() {
			a.Platform = platformHSM
		}
	}
	if v.Spec.Algorithm == pki.Oct && r.Version().Has(octKeySize) {
		a.Size = v.Spec.Size
	}
	return a
}

func newKeyBundle(r pipeline.Request, b *key.Bundle) keyBundle {
	v := b.Version
	return keyBundle{newJSONWebKey(r, v), newKeyAttributes(r, v, b.Head), v.Tags, b.Head.Managed}
}

// newJSONWebKey panics over a stored public key that is pipeline.None: it was made here, so
// the database is damaged, and the answer is an internal error.
func newJSONWebKey(r pipeline.Request, v *key.Version) jsonWebKey {
	jwk := jsonWebKey{ID: objectID(r, object.Keys, v.Name, v.Version), Type: v.Type(), Ops: v.Ops}
	if jwk.Ops == nil {
		jwk.Ops = []key.Op{}
	}
	if v.Spec.Algorithm == pki.Oct {
		return jwk
	}
	public, err := pki.ParsePublic(v.Public)
	if err != nil {
		panic(fmt.Errorf("reading the public key of %s/%s: %w", v.Name, v.Version, err))
	}
	var point []byte // 4, x, y: each coordinate padded to the field (SEC 1, 2.3.3)
	switch p := public.(type) {
	case *rsa.PublicKey:
		jwk.N = base64.RawURLEncoding.EncodeToString(p.N.Bytes())
		jwk.E = base64.RawURLEncoding.EncodeToString(big.NewInt(int64(p.E)).Bytes())
		return jwk
	case *ecdsa.PublicKey:
		point, _ = p.Bytes() // it was parsed, so that it is a point
	case *pki.P256KPublicKey:
		point = p.Bytes()
	}
	field := len(point) / 2
	jwk.Curve = curveName(r, v.Spec.Curve)
	jwk.X = base64.RawURLEncoding.EncodeToString(point[1 : 1+field])
	jwk.Y = base64.RawURLEncoding.EncodeToString(point[1+field:])
	return jwk
}

type deletedKeyBundle struct {
	deletion
	keyBundle
}

type deletedKeyItem struct {
	deletion
	keyItem
}

func renderKey(r pipeline.Request, b *key.Bundle) rest.Reply { return rest.OK(newKeyBundle(r, b)) }

func renderDeletedKey(r pipeline.Request, b *key.Bundle) rest.Reply {
	return rest.OK(deletedKeyBundle{newDeletion(r, object.Keys, b.Head), newKeyBundle(r, b)})
}

func keyLine(r pipeline.Request, l key.Listed) keyItem {
	return keyItem{objectID(r, object.Keys, l.Head.Name, ""), newKeyAttributes(r, &l.Version, l.Head), l.Version.Tags, l.Head.Managed}
}

func deletedKeyLine(r pipeline.Request, l key.Listed) deletedKeyItem {
	return deletedKeyItem{newDeletion(r, object.Keys, l.Head), keyLine(r, l)}
}

func keyVersionLine(r pipeline.Request, v headed[*key.Version]) keyItem {
	return keyItem{objectID(r, object.Keys, v.version.Name, v.version.Version), newKeyAttributes(r, v.version, v.head),
		v.version.Tags, v.head.Managed}
}
