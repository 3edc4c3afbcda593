package audit

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

// hostile are texts that a caller could choose, and plain ones.
var hostile = []string{"", "", "plain", "https://v.vault.azure.net/keys/k", `quo"te`, `back\slash`, "line\nfeed", "\x00\x1f\x7f", "é", "<a>&", "\u2028\u2029", "\xff\xfe", "🔑"}

// fill sets every member that v has, some of them to nothing.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile[r.IntN(len(hostile))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 200, 1 << 40}[r.IntN(5)])
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Slice:
		for range r.IntN(3) {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(r, e)
			v.Set(reflect.Append(v, e))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Details" || r.IntN(3) == 0 {
				fill(r, v.Field(i))
			}
		}
	default:
		panic(v.Kind())
	}
}

// The hand-made line is what encoding/json makes of the same record.
func TestLineIsTheJSONOfTheRecord(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var rec record
		fill(r, reflect.ValueOf(&rec).Elem())
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(rec); err != nil {
			t.Fatal(err)
		}
		if got, err := rec.appendLine(nil); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%v\n%s\nwant\n%s", err, got, want.Bytes())
		}
		rec.Properties.RequestID = newID()
		got, err := rec.intentLine()
		if err != nil {
			t.Fatal(err)
		}
		again, _ := rec.appendLine(nil)
		var in intent
		if err := json.Unmarshal(got, &in); err != nil || in.Intent != rec.Properties.RequestID || string(in.Record)+"\n" != string(again) {
			t.Fatalf("%v\n%s", err, got)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	yes := true
	rec := record{Time: stamp(arrival), Category: "AuditEvent", ResourceID: "/SUBSCRIPTIONS/X", OperationName: "CertificateGet", ResultType: "Success"}
	rec.Properties.IsAddressAuthorized, rec.Properties.HTTPStatusCode = &yes, 200
	for b.Loop() {
		if _, err := rec.appendLine(nil); err != nil {
			b.Fatal(err)
		}
	}
}
