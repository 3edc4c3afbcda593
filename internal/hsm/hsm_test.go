package hsm

import (
	"coffer/internal/seal"
	"errors"
	"strings"
	"testing"
)

func TestIDIsItsURI(t *testing.T) {
	id := ID{0x01, 0xab, 0x7f, 15: 0xff}
	const want = "pkcs11:id=%01%ab%7f%00%00%00%00%00%00%00%00%00%00%00%00%ff"
	if id.String() != want {
		t.Errorf("got %s", id)
	}
	if got, err := ParseID(want); err != nil || got != id {
		t.Errorf("%v, %v", got, err)
	}
	if a, b := NewID(), NewID(); a == b || a.IsZero() || !(ID{}).IsZero() {
		t.Error("fresh ids are not fresh")
	}
	for _, bad := range []string{"", want[1:], want + "%00", want[:len(want)-1], strings.ToUpper(want), strings.Replace(want, "%ab", "%AB", 1),
		strings.Replace(want, "%7f", "%7g", 1), strings.Replace(want, "%7f", "+7f", 1), "pkcs11:id=0123456789abcdef", want + ";type=private"} {
		if id, err := ParseID(bad); err == nil {
			t.Errorf("%q is %v", bad, id)
		}
	}
}

func TestWithoutTheTagOpenNamesIt(t *testing.T) {
	if Built {
		if _, err := Open(Config{Module: "/nowhere.so", Token: "t", PIN: func() (seal.Value, error) { return seal.Value{}, nil }}); errors.Is(err, ErrNotBuilt) {
			t.Error(err)
		}
		return
	}
	if _, err := Open(Config{}); !errors.Is(err, ErrNotBuilt) || !strings.Contains(err.Error(), "-tags hsm") {
		t.Errorf("got %v", err)
	}
}
