package pkcs12

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// TestDeriveBytesAgreesWithOpenSSL covers results of less and more than a hash, and
// salts and passwords on both sides of a block.
func TestDeriveBytesAgreesWithOpenSSL(t *testing.T) {
	names := []string{"SHA1", "SHA224", "SHA256", "SHA384", "SHA512"}
	for i, h := range macHashes {
		for _, tt := range []struct{ size, salt, repeat int }{
			{1, 8, 1}, {h.new().Size(), 64, 1}, {h.new().Size() + 1, 129, 1}, {150, 129, 7},
		} {
			password := bytes.Repeat(append(bmpString("пароль 🔑"), 0, 0), tt.repeat)
			salt := bytes.Repeat([]byte{0xff, 0xfe}, tt.salt)[:tt.salt]
			out := mustOpenSSL(t, "kdf", "-keylen", fmt.Sprint(tt.size), "-kdfopt", "digest:"+names[i],
				"-kdfopt", "hexpass:"+hex.EncodeToString(password), "-kdfopt", "hexsalt:"+hex.EncodeToString(salt),
				"-kdfopt", "iter:3", "-kdfopt", "id:2", "PKCS12KDF")
			want := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(string(out)), ":", ""))
			got := hex.EncodeToString(deriveBytes(h.new, salt, password, 3, forIV, tt.size))
			if got != want {
				t.Errorf("%s, %+v:\ngot  %s\nwant %s", names[i], tt, got, want)
			}
		}
	}
}

func TestBMPString(t *testing.T) {
	for _, s := range []string{"", "a", "Größe €", "key 🔑"} {
		got, ok := fromBMPString(bmpString(s))
		if !ok || got != s {
			t.Errorf("%q became %q", s, got)
		}
		if got, ok = fromBMPString(append(bmpString(s), 0, 0)); !ok || got != s {
			t.Errorf("%q with terminator became %q", s, got)
		}
	}
	if got := bmpString("aé€🔑"); !bytes.Equal(got, []byte{0, 'a', 0, 0xe9, 0x20, 0xac, 0xd8, 0x3d, 0xdd, 0x11}) {
		t.Errorf("% x", got)
	}
	if _, ok := fromBMPString([]byte{0}); ok {
		t.Error("odd length accepted")
	}
}
