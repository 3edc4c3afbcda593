package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func newKey(t testing.TB) rootKey {
	t.Helper()
	k, err := newRootKey(epoch)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// CVE-class "an id of one tenant is acted on in another": a box opens only where
// it was sealed for.
func TestBoxIsBoundToEveryFieldOfItsPlace(t *testing.T) {
	k := newKey(t)
	here := Place{Kind: "key", Vault: "v1", Name: "web", Version: "1", Column: "private"}
	box := sealBox(k.aead, [8]byte{1}, here, []byte("plain"))
	if got, err := openBox(k.aead, here, box); err != nil || string(got) != "plain" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, there := range []Place{
		{},
		{"secret", "v1", "web", "1", "private"}, {"key", "v2", "web", "1", "private"}, {"key", "v1", "api", "1", "private"},
		{"key", "v1", "web", "2", "private"}, {"key", "v1", "web", "1", "value"},
		// The same letters, cut otherwise.
		{"keyv", "1", "web", "1", "private"}, {"key", "v1w", "eb", "1", "private"}, {"key", "v1", "web1", "", "private"},
		{"key", "v1", "web", "1private", ""}, {"", "keyv1", "web", "1", "private"},
	} {
		if got, err := openBox(k.aead, there, box); !errors.Is(err, ErrBox) || got != nil {
			t.Errorf("it opens in %+v: %v", there, err)
		}
	}
	if _, err := openBox(newKey(t).aead, here, box); !errors.Is(err, ErrBox) {
		t.Errorf("it opens with another key: %v", err)
	}
}

func TestChangedBoxesDoNotOpen(t *testing.T) {
	k := newKey(t)
	p := Place{Kind: "key", Column: "private"}
	box := sealBox(k.aead, [8]byte{1, 2, 3}, p, []byte("plain"))
	for i := range box {
		for bit := range 8 {
			changed := bytes.Clone(box)
			changed[i] ^= 1 << bit
			if _, err := openBox(k.aead, p, changed); !errors.Is(err, ErrBox) {
				t.Fatalf("bit %d of byte %d changed: %v", bit, i, err)
			}
		}
	}
	for n := boxHeader; n < len(box); n++ {
		if _, err := openBox(k.aead, p, box[:n]); !errors.Is(err, ErrBox) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, err := openBox(k.aead, p, append(bytes.Clone(box), 0)); !errors.Is(err, ErrBox) {
		t.Errorf("longer: %v", err)
	}
}

func TestBoxesOfOneValueDiffer(t *testing.T) {
	k := newKey(t)
	a, b := sealBox(k.aead, [8]byte{}, Place{}, []byte("plain")), sealBox(k.aead, [8]byte{}, Place{}, []byte("plain"))
	if bytes.Equal(a[boxHeader:boxHeader+nonceBytes], b[boxHeader:boxHeader+nonceBytes]) || bytes.Contains(a, []byte("plain")) {
		t.Errorf("%x and %x", a, b)
	}
}

func TestHeaderOfABox(t *testing.T) {
	box := sealBox(newKey(t).aead, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Place{}, nil)
	if id, err := box.keyID(); err != nil || id != [8]byte{1, 2, 3, 4, 5, 6, 7, 8} {
		t.Errorf("%x, %v", id, err)
	}
	other := bytes.Clone(box)
	other[0] = 2
	for _, b := range []Box{nil, {}, box[:len(box)-1], other} {
		if _, err := b.keyID(); !errors.Is(err, ErrBox) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// Whatever is done with a Value but revealing it, its bytes stay inside.
func TestValueDoesNotPrint(t *testing.T) {
	secret := "hunter2-" + rand.Text()
	v := NewValue([]byte(secret))
	var outs []string
	type holder struct {
		Exported Value
		hidden   Value
		Pointer  *Value
		Any      any
	}
	h := holder{v, v, &v, v}
	for _, x := range []any{v, &v, h, &h, []Value{v}, map[string]Value{"k": v}, []any{h}} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGsp" {
			for _, flag := range []string{"%", "%+", "%#", "%x ", "%10", "%.3"} {
				outs = append(outs, fmt.Sprintf(flag+string(verb), x))
			}
		}
		outs = append(outs, fmt.Sprint(x), fmt.Sprintln(x), fmt.Errorf("cause: %v", x).Error())
		for _, handler := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var b bytes.Buffer
			slog.New(handler(&b)).Info("message", "value", x, slog.Group("group", "value", x))
			outs = append(outs, b.String())
		}
		j, err := json.Marshal(x)
		if err == nil {
			t.Errorf("%T was encoded as JSON", x)
		}
		outs = append(outs, string(j), fmt.Sprint(err))
	}
	for _, out := range outs {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint([]byte(secret)), fmt.Sprintf("%#v", []byte(secret))} {
			if strings.Contains(out, form) {
				t.Fatalf("it shows in %q", out)
			}
		}
	}
	if fmt.Sprintf("%v %s %+v", v, v, &v) != "[redacted] [redacted] [redacted]" || string(v.Reveal()) != secret || (Value{}).Reveal() != nil {
		t.Errorf("%v", v)
	}
}

// FuzzOpen: a box from an untrusted store either is ours or does not open.
func FuzzOpen(f *testing.F) {
	k, err := newRootKey(epoch)
	if err != nil {
		f.Fatal(err)
	}
	p := Place{Kind: "key", Column: "private"}
	good := sealBox(k.aead, [8]byte{}, p, []byte("plain"))
	for _, seed := range [][]byte{nil, {1}, good[:boxHeader], good} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Box(b).keyID(); err != nil {
			return
		}
		if got, err := openBox(k.aead, p, b); err == nil && !bytes.Equal(b, good) {
			t.Errorf("%x opens to %x", b, got)
		}
	})
}
