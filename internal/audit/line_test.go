package audit

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

// hostile are texts that a caller could choose, and plain ones.
var hostile = []string{"", "", "plain", "https://v.vault.azure.net/keys/k", `quo"te`, `back\slash`, "line\nfeed", "\x00\x1f\x7f", "é", "<a>&", "\u2028\u2029", "\xff\xfe", "🔑", "\u202egnp.exe\u2066", "\u0085\u009b[31m", "\U000e0041"}

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
		wanted := append(escapeHidden(bytes.TrimSuffix(want.Bytes(), []byte("\n"))), '\n')
		if got, err := rec.appendLine(nil); err != nil || !bytes.Equal(got, wanted) {
			t.Fatalf("%v\n%s\nwant\n%s", err, got, wanted)
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

// No text of a caller reaches a line in a form that a terminal acts on, and a parser
// that is not ours reads it back as it was.
func TestHiddenCharactersAreEscaped(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3, the other parser, is not installed: run scripts/install")
	}
	var text strings.Builder
	for _, span := range [][2]rune{{0, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, {0x61c, 0x61c}, {0x200b, 0x200f}, {0x2028, 0x202e},
		{0x2060, 0x2069}, {0xfeff, 0xfeff}, {0xe0001, 0xe007f}} {
		for r := span[0]; r <= span[1]; r++ {
			text.WriteString("a\\")
			text.WriteRune(r)
		}
	}
	hidden := text.String() + "é🔑\"end"
	var rec record
	rec.ResultDescription, rec.Properties.ClientInfo, rec.Identity.Claim.UPN = hidden, hidden, hidden
	rec.Properties.Details.Certificate = &CertificateProperties{Subject: hidden}
	rec.Properties.Before = &Details{Policy: &PolicyProperties{DNSNames: []string{hidden}}}
	line, err := rec.appendLine(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range strings.TrimSuffix(string(line), "\n") {
		if unicode.IsControl(r) || !unicode.IsPrint(r) {
			t.Errorf("%U is in the line", r)
		}
	}
	const program = `import json, sys
r = json.loads(sys.stdin.buffer.read()); p = r["properties"]
for s in (r["resultDescription"], p["clientInfo"], r["identity"]["claim"]["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"],
          p["certificateProperties"]["subject"], p["before"]["certificatePolicyProperties"]["dnsNames"][0]):
    sys.stdout.buffer.write(s.encode() + b"\xff")`
	cmd := exec.Command(python, "-c", program)
	cmd.Stdin = bytes.NewReader(line)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := strings.Repeat(hidden+"\xff", 5); string(out) != want {
		t.Errorf("%d bytes are read back, want %d", len(out), len(want))
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
