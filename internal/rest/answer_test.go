package rest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

type shape struct {
	ContentType string            `json:"contentType,omitempty"`
	ID          string            `json:"id"`
	Tags        map[string]string `json:"tags,omitzero"`
}

// A value is written as encoding/json would write it.
func TestValuesAreJSON(t *testing.T) {
	for _, value := range []string{"", "plain ~text", `quo"te and back\\slash`, "line\nfeed\ttab\x00\x1f\x7f", "<a>&", "é🔑", "\u2028\u2029",
		"not \xff UTF-8 \xc3", "\"", "a\\"} {
		a, err := Encode(Reply{Status: 200, Body: shape{ID: "x"}, Value: []byte(value), Secret: true})
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(struct {
			Value string `json:"value"`
			shape
		}{value, shape{ID: "x"}}); err != nil {
			t.Fatal(err)
		}
		if got := a.body.String() + "\n"; got != want.String() {
			t.Errorf("%q: %s, want %s", value, got, want.String())
		}
	}
}

func TestSecretsAreWipedFromBuffers(t *testing.T) {
	for _, secret := range []bool{true, false} {
		a, err := Encode(Reply{Status: 200, Body: shape{}, Value: []byte("hunter2"), Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		written := a.body.Bytes()
		a.Release()
		if bytes.Contains(written, []byte("hunter2")) == secret {
			t.Errorf("secret %v: %q", secret, written)
		}
	}
}

// Each byte at each place of a step of eight, alone and beside each other: text goes
// through JSON unharmed, whatever the steps have taken for plain.
func TestEveryByteAtEveryPlaceIsEscapedAsItMust(t *testing.T) {
	for b := range 256 {
		for at := range 17 {
			for _, next := range []byte{'A', '"', '!', '~'} {
				value := []byte("AAAAAAAAAAAAAAAAAA")
				value[at], value[at+1] = byte(b), next
				var buf bytes.Buffer
				writeValue(&buf, value)
				buf.WriteByte('}')
				var got struct{ Value string }
				if err := json.Unmarshal(buf.Bytes(), &got); err != nil {
					t.Fatalf("%q: %v", value, err)
				}
				if want := strings.ToValidUTF8(string(value), "\ufffd"); got.Value != want {
					t.Fatalf("%q, want %q", got.Value, want)
				}
			}
		}
	}
}
