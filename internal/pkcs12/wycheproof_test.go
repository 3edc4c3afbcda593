package pkcs12

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PBES2 with each pseudorandom function and each AES, and passwords of all kinds,
// also such as are no UTF-8. What is encrypted are not keys, which DecryptPKCS8
// would refuse.
func TestWycheproofPBES2(t *testing.T) {
	prfs := map[int]asn1.ObjectIdentifier{1: oidHMACWithSHA1, 224: oidHMACWithSHA224, 256: oidHMACWithSHA256, 384: oidHMACWithSHA384, 512: oidHMACWithSHA512}
	ciphers := map[int]asn1.ObjectIdentifier{128: oidAES128CBC, 192: oidAES192CBC, 256: oidAES256CBC}
	ran := 0
	for hash, prf := range prfs {
		for size, aes := range ciphers {
			// Keys of another length differ in how many blocks are derived only: one length
			// of each function is enough.
			if hash != 256 && size != 256 {
				continue
			}
			name := fmt.Sprintf("pbes2_hmacsha%d_aes_%d_test.json", hash, size)
			text, err := fs.ReadFile(wycheproof.TestVectors, name)
			if err != nil {
				t.Fatal(err)
			}
			var file struct {
				TestGroups []struct {
					Tests []struct {
						ID                          int `json:"tcId"`
						Password, Salt, IV, Msg, CT string
						IterationCount              int64
						Result                      string
					}
				}
			}
			if err := json.Unmarshal(text, &file); err != nil {
				t.Fatal(err)
			}
			for _, g := range file.TestGroups {
				for _, v := range g.Tests {
					algorithm := cryptobyte.String(pbes2Algorithm(t, prf, aes, v.IterationCount, fromHex(t, v.Salt), fromHex(t, v.IV)))
					s, err := parseScheme(&algorithm)
					if err != nil {
						t.Fatal(err)
					}
					block, iv, err := s.key(password{utf8: string(fromHex(t, v.Password))})
					if err != nil {
						t.Fatal(err)
					}
					got, ok := decryptCBC(block, iv, fromHex(t, v.CT))
					if v.Result != "valid" || !ok || !bytes.Equal(got, fromHex(t, v.Msg)) {
						t.Errorf("%s, vector %d (%s): %x, %t; want %s", name, v.ID, v.Result, got, ok, v.Msg)
					}
					ran++
				}
			}
		}
	}
	if ran < 7*80 {
		t.Errorf("only %d vectors", ran)
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pbes2Algorithm is the AlgorithmIdentifier of PBES2 (RFC 8018, A.2 and A.4).
func pbes2Algorithm(t *testing.T, prf, aes asn1.ObjectIdentifier, iterations int64, salt, iv []byte) []byte {
	t.Helper()
	var b cryptobyte.Builder
	addAlgorithm(&b, oidPBES2, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAlgorithm(b, oidPBKDF2, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1OctetString(salt)
					b.AddASN1Int64(iterations)
					addAlgorithm(b, prf, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
				})
			})
			addAlgorithm(b, aes, func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) })
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}
