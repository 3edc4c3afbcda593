package key

import "coffer/internal/pki"

// allOps is every operation of a key type, in the order answers list them.
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
