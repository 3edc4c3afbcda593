package key

import (
	"slices"
	"strconv"
	"strings"

	"coffer/internal/fault"
	"coffer/internal/pki"
)

// Op is an operation that a key may be used for (contract keys.md).
type Op string

// The operations.
const (
	Sign      Op = "sign"
	Verify    Op = "verify"
	WrapKey   Op = "wrapKey"
	UnwrapKey Op = "unwrapKey"
	Encrypt   Op = "encrypt"
	Decrypt   Op = "decrypt"

	// importOp is that of a key which only takes the transfer of other keys into
	// the HSM (contract keys.md, 9.1).
	importOp Op = "import"
)

// allOps is every operation of a key type, in the order of certificates (contract
// certificates.md, 7.3).
func allOps(a pki.Algorithm) []Op {
	if a == pki.EC {
		return []Op{Sign, Verify}
	}
	return []Op{Sign, Verify, WrapKey, UnwrapKey, Encrypt, Decrypt}
}

// OpsFor says what a certificate's key may do, from the key usages of the
// certificate (contract certificates.md, 7.3), and nothing that its type cannot
// do (contract keys.md, 6). Without any usage a key may do all that its type can.
func OpsFor(usages []string, a pki.Algorithm) []Op {
	if len(usages) == 0 {
		return allOps(a)
	}
	allowed := map[Op]bool{}
	for _, u := range usages {
		switch u {
		case "digitalSignature", "nonRepudiation", "keyCertSign", "cRLSign":
			allowed[Sign], allowed[Verify] = true, true
		case "keyEncipherment":
			allowed[WrapKey], allowed[UnwrapKey] = true, true
		case "dataEncipherment":
			allowed[Encrypt], allowed[Decrypt] = true, true
		case "encipherOnly":
			allowed[Encrypt] = true
		case "decipherOnly":
			allowed[Decrypt] = true
		}
	}
	ops := []Op{}
	for _, o := range allOps(a) {
		if allowed[o] {
			ops = append(ops, o)
		}
	}
	return ops
}

// possibleOps is every operation of a plain key's type, in the order in which the
// service lists them (contract keys.md, 9.1).
func possibleOps(a pki.Algorithm) []Op {
	if a == pki.EC {
		return []Op{Sign, Verify}
	}
	return []Op{Encrypt, Decrypt, Sign, Verify, WrapKey, UnwrapKey}
}

// maxAES is the size of the longest AES key; longer ones are for HMAC.
const maxAES = 256

// defaultOps are those of a plain key for which none were asked (contract keys.md,
// 9.1).
func defaultOps(spec pki.KeySpec) []Op {
	switch {
	case spec.Algorithm == pki.Oct && spec.Size > maxAES:
		return []Op{Sign, Verify}
	case spec.Algorithm == pki.Oct:
		return []Op{Encrypt, Decrypt, WrapKey, UnwrapKey}
	}
	return possibleOps(spec.Algorithm)
}

// foreignOps are words that most keys cannot have: import alone makes a key for
// the transfer of others, export one that can be released, which none can.
var foreignOps = []Op{importOp, "export"}

// forTransfer tells that a key is for the transfer of others, and for nothing
// else.
func forTransfer(ops []Op) bool { return slices.Equal(ops, []Op{importOp}) }

// parseOps reads what a caller asks a key to be able to do: each operation once.
// field names the member.
func parseOps(field string, words []string, a pki.Algorithm, inHSM bool) ([]Op, error) {
	possible := possibleOps(a)
	if a == pki.RSA && inHSM && !slices.ContainsFunc(words, func(w string) bool { return Op(w) != importOp }) && len(words) > 0 {
		possible = []Op{importOp}
	}
	ops, refused := []Op{}, []Op{}
	for _, word := range words {
		o := Op(word)
		switch {
		case slices.Contains(possible, o):
			if !slices.Contains(ops, o) {
				ops = append(ops, o)
			}
		case !slices.Contains(possibleOps(pki.RSA), o) && !slices.Contains(foreignOps, o):
			return nil, fault.InvalidField(field, "")
		case !slices.Contains(refused, o):
			refused = append(refused, o)
		}
	}
	if len(refused) > 0 {
		return nil, &fault.Error{Kind: fault.Invalid, Field: field, Msg: "Unsupported key operation(s): " + quoted(refused) +
			". Supported values are " + quoted(possible) + "."}
	}
	return ops, nil
}

func quoted(ops []Op) string {
	words := make([]string, len(ops))
	for i, o := range ops {
		words[i] = strconv.Quote(string(o))
	}
	return strings.Join(words, ", ")
}
