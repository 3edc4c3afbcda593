package coffer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// secretName is what the name of a secret holds; the capitals are the secret
// members of a JWK.
var secretName = regexp.MustCompile(`(?i:secret|private|password|passphrase|pwd|plain|pin$|pfx|pkcs8|pkcs12|identityheader|datakey|rootkey)|^([DKPQ]|D[PQ]|QI)$`)

// codecs turn bytes into bytes, and lie below seal. Who calls one wraps what it gives.
var codecs = []string{"pki", "pkcs12", "pkcs12/ber", "pkcs12/rc2", "bundle"}

// notSecret is what has such a name and may be bytes or text.
var notSecret = map[string]string{
	"admin.Policy.Secrets":                 "names of permissions",
	"admin.PolicyView.Secrets":             "names of permissions",
	"vault.AccessPolicy.Secrets":           "names of permissions",
	"audit.AccessPolicyProperties.Secrets": "names of permissions",
	"admin.Rotated.RootKey":                "the id of the key",
	"admin.SecretView.Value":               "the answer that shows a new secret to the operator, this once",
	"config.Certificates.PKCS12":           "the name of a form",
	"config.RootKey.PassphraseFile":        "a path",
	"daemon.RootKeyPath":                   "a path",
	"key.Secret.EncryptCBC(plain)":         "the caller's data, which passes through the HSM",
	"key.Secret.EncryptCBCPad(plain)":      "the caller's data, which passes through the HSM",
	"key.Secret.SealGCM(plain)":            "the caller's data, which passes through the HSM",
	"key.Secret.Wrap(plain)":               "the caller's data, which passes through the HSM",
	"key.Secret.WrapPad(plain)":            "the caller's data, which passes through the HSM",
}

// TestSecretsAreNoBareBytes: nothing that a package exports gives or takes a secret
// as bytes or text, which print and linger. At rest it is a seal.Box, in memory a
// seal.Value or a capability.
func TestSecretsAreNoBareBytes(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range exported(t) {
		name := strings.TrimPrefix(p.Path(), "coffer/internal/")
		if slices.Contains(codecs, name) {
			continue
		}
		for _, o := range p.Scope().Names() {
			for _, place := range bareSecrets(name, p.Scope().Lookup(o)) {
				seen[place] = true
				if notSecret[place] == "" {
					t.Errorf("%s has the name of a secret, and is bytes or text: make it a seal.Value", place)
				}
			}
		}
	}
	for place := range notSecret {
		if !seen[place] {
			t.Errorf("%s is allowed, and is not there", place)
		}
	}
}

// bareSecrets names what of an object is exported, and a secret in bytes or text.
func bareSecrets(place string, o types.Object) (found []string) {
	if !o.Exported() {
		return nil
	}
	place += "." + o.Name()
	switch o := o.(type) {
	case *types.Func:
		return ofSignature(place, o.Signature())
	case *types.Var:
		return ofVar(place, o.Name(), o.Type())
	case *types.TypeName:
		if named, ok := o.Type().(*types.Named); ok {
			for m := range named.Methods() {
				found = append(found, bareSecrets(place, m)...)
			}
		}
		switch u := o.Type().Underlying().(type) {
		case *types.Interface:
			for m := range u.Methods() {
				found = append(found, bareSecrets(place, m)...)
			}
		case *types.Signature:
			found = append(found, ofSignature(place, u)...)
		case *types.Struct:
			for f := range u.Fields() {
				name := f.Name()
				if name == "Value" || name == "Text" { // the type says of what
					name = o.Name()
				}
				if f.Exported() {
					found = append(found, ofVar(place+"."+f.Name(), name, f.Type())...)
				}
			}
		}
	}
	return found
}

func ofSignature(place string, s *types.Signature) (found []string) {
	for v := range s.Params().Variables() {
		found = append(found, ofVar(place+"("+v.Name()+")", v.Name(), v.Type())...)
	}
	for v := range s.Results().Variables() {
		name := v.Name()
		if name == "" || name == "_" { // the function says what it gives
			name = place[strings.LastIndex(place, ".")+1:]
		}
		found = append(found, ofVar(place, name, v.Type())...)
	}
	return found
}

func ofVar(place, name string, t types.Type) []string {
	if f, ok := t.Underlying().(*types.Signature); ok {
		return ofSignature(place, f)
	}
	if secretName.MatchString(name) && isBare(t) {
		return []string{place}
	}
	return nil
}

// isBare reports whether a type is bytes or text, or some of them.
func isBare(t types.Type) bool {
	switch t := types.Unalias(t).(type) {
	case *types.Basic:
		return t.Kind() == types.String
	case *types.Pointer:
		return isBare(t.Elem())
	case *types.Slice:
		return isBare(t.Elem()) || types.Identical(t.Elem(), types.Typ[types.Byte])
	}
	return false
}

// exported reads what each package of ours exports.
func exported(t *testing.T) (packages []*types.Package) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
	}
	im := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("there is no export data of %s", path)
		}
		return os.Open(files[path])
	})
	for path := range files {
		if strings.HasPrefix(path, "coffer/internal/") && !strings.HasSuffix(path, "test") {
			p, err := im.Import(path)
			if err != nil {
				t.Fatal(err)
			}
			packages = append(packages, p)
		}
	}
	return packages
}
