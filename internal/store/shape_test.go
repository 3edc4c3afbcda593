package store

import (
	"bytes"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/vault"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shaped is a value of a domain with the shape that it is stored in.
type shaped struct {
	value  any
	encode func() (string, error)
	decode func(string) (any, error)
}

// shapeOf is a value with all fields filled, and its way to a column and back.
func shapeOf[V, S any](to func(*V) S, from func(S) *V) shaped {
	v := new(V)
	fill(reflect.ValueOf(v).Elem(), "")
	return shaped{v, func() (string, error) { return toJSON(to(v)) }, func(text string) (any, error) {
		var s S
		err := fromJSON(text, &s)
		return from(s), err
	}}
}

var shapes = map[string]shaped{
	"vault":  shapeOf(vaultSettingsOf, vaultSettings.vault),
	"policy": shapeOf((*issuance.Policy).Stored, (*issuance.StoredPolicy).Policy),
	"issuer-ref": shapeOf(func(r *issuance.IssuerRef) issuance.StoredIssuer { return issuance.StoredIssuer(*r) },
		func(s issuance.StoredIssuer) *issuance.IssuerRef { r := issuance.IssuerRef(s); return &r }),
	"failure": shapeOf(func(e *issuance.OperationError) *operationFailure { return (*operationFailure)(e) },
		func(f *operationFailure) *issuance.OperationError { return (*issuance.OperationError)(f) }),
	"contact": shapeOf(func(c *certificate.Contact) contact { return contact(*c) },
		func(s contact) *certificate.Contact { c := certificate.Contact(s); return &c }),
	"admin": shapeOf(func(a *issuance.Admin) issuerAdmin { return issuerAdmin(*a) },
		func(s issuerAdmin) *issuance.Admin { a := issuance.Admin(s); return &a }),
	"issuer":     shapeOf(func(s *issuerSettings) issuerSettings { return *s }, func(s issuerSettings) *issuerSettings { return &s }),
	"federation": shapeOf(func(f *federation) federation { return *f }, func(f federation) *federation { return &f }),
}

// The JSON of these is what databases hold. A change of a golden file needs a
// migration; a field that a domain has and the shape has not is lost.
func TestStoredShapes(t *testing.T) {
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			text, err := s.encode()
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "shape-"+name+".json")
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
			got, err := s.decode(string(stored))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(s.value, got); d != "" {
				t.Errorf("a field is not stored (-want +got)\n%s", d)
			}
			for _, bad := range []string{strings.Replace(text, "{", `{"Later":1,`, 1), text + text, text[1:]} {
				if _, err := s.decode(bad); err == nil {
					t.Errorf("taken: %s", bad)
				}
			}
		})
	}
}

// What was never given, and what was given empty, are told apart in the shapes too.
func TestStoredShapesKeepNilAndEmptyApart(t *testing.T) {
	for _, v := range []*vault.Vault{{}, {AccessPolicies: []vault.AccessPolicy{}, Tags: map[string]string{}}} {
		if d := cmp.Diff(v, vaultSettingsOf(v).vault()); d != "" {
			t.Error(d)
		}
	}
	for _, p := range []*issuance.Policy{nil, {}, {Actions: []issuance.LifetimeAction{}, X509: issuance.X509Props{EKUs: []string{}, SANs: &issuance.SANs{}}}} {
		if d := cmp.Diff(p, p.Stored().Policy()); d != "" {
			t.Error(d)
		}
	}
}

// fill gives every field of v another value than zero; a text tells where it is.
func fill(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf(path))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 22, 1, 2, int(crc32.ChecksumIEEE([]byte(path))%60), 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), path+"/"+v.Type().Field(i).Name)
		}
	case reflect.String:
		v.SetString(path)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(len(path)))
	default:
		panic("fill: " + v.Type().String())
	}
}
