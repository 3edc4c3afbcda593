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

// defaultOps is every operation of a plain key's type, in the order in which the
// service lists them (contract keys.md, 9.1).
func defaultOps(a pki.Algorithm) []Op {
	if a == pki.EC {
		return []Op{Sign, Verify}
	}
	return []Op{Encrypt, Decrypt, Sign, Verify, WrapKey, UnwrapKey}
}

// foreignOps are words that only keys in an HSM may have: import makes a key for
// the transfer of others, export one that can be released.
var foreignOps = []Op{"import", "export"}

// parseOps reads what a caller asks a key to be able to do: each operation once.
// field names the member.
func parseOps(field string, words []string, a pki.Algorithm) ([]Op, error) {
	possible := defaultOps(a)
	ops, refused := []Op{}, []Op{}
	for _, word := range words {
		o := Op(word)
		switch {
		case slices.Contains(possible, o):
			if !slices.Contains(ops, o) {
				ops = append(ops, o)
			}
		case !slices.Contains(defaultOps(pki.RSA), o) && !slices.Contains(foreignOps, o):
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
