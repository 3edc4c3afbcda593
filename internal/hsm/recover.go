//go:build hsm

package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"math/big"

	decred "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"coffer/internal/pki"
)

// recoverPublic gives the public keys under which r and s side by side are a
// signature of the digest (SEC 1, 4.1.6): up to four of them. All of it is public,
// so that nothing here need take constant time.
func recoverPublic(curve pki.Curve, digest, signature []byte) []crypto.PublicKey {
	if c := stdCurve(curve); c != nil {
		return recoverStd(c, digest, signature)
	}
	return recoverP256K(digest, signature)
}

func recoverStd(curve elliptic.Curve, digest, signature []byte) []crypto.PublicKey {
	params := curve.Params()
	field := (params.BitSize + 7) / 8
	if len(signature) != 2*field {
		return nil
	}
	r := new(big.Int).SetBytes(signature[:field])
	s := new(big.Int).SetBytes(signature[field:])
	inverse := new(big.Int).ModInverse(r, params.N)
	if inverse == nil {
		return nil
	}
	// A digest is never longer than the group order here: no bits to cut off.
	minusE := new(big.Int).Neg(new(big.Int).SetBytes(digest))
	u := new(big.Int).Mod(minusE.Mul(minusE, inverse), params.N)
	v := new(big.Int).Mod(s.Mul(s, inverse), params.N)
	var found []crypto.PublicKey
	for x := r; x.Cmp(params.P) < 0; x = new(big.Int).Add(x, params.N) {
		for parity := byte(2); parity <= 3; parity++ {
			px, py := elliptic.UnmarshalCompressed(curve, append([]byte{parity}, x.FillBytes(make([]byte, field))...))
			if px == nil {
				continue
			}
			//lint:ignore SA1019 crypto/ecdh cannot add points, and these are public
			ax, ay := curve.ScalarMult(px, py, v.Bytes())
			//lint:ignore SA1019 as above
			bx, by := curve.ScalarBaseMult(u.Bytes())
			//lint:ignore SA1019 as above
			qx, qy := curve.Add(ax, ay, bx, by)
			point := make([]byte, 1+2*field)
			point[0] = 4
			qx.FillBytes(point[1 : 1+field])
			qy.FillBytes(point[1+field:])
			if key, err := ecdsa.ParseUncompressedPublicKey(curve, point); err == nil { // infinity is not one
				found = append(found, key)
			}
		}
	}
	return found
}

func recoverP256K(digest, signature []byte) []crypto.PublicKey {
	var found []crypto.PublicKey
	for code := range byte(4) {
		// 27 is where the codes begin in this form.
		point, _, err := decred.RecoverCompact(append([]byte{27 + code}, signature...), digest)
		if err != nil {
			continue
		}
		if key, err := pki.ParseUncompressedP256KPublicKey(point.SerializeUncompressed()); err == nil {
			found = append(found, key)
		}
	}
	return found
}
