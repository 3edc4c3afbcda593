// Copyright 2015 The Go Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package pkcs12

import (
	"bytes"
	"hash"
)

// The purposes of derived bytes (RFC 7292, appendix B.3).
const (
	forKey = 1
	forIV  = 2
	forMAC = 3
)

// deriveBytes is the derivation of RFC 7292, appendix B.2; the names are those of
// the RFC, and lengths are in bytes. Its cost is deriveCost.
func deriveBytes(newHash func() hash.Hash, salt, password []byte, iterations int, purpose byte, size int) []byte {
	h := newHash()
	v := h.BlockSize()

	// Steps 1 to 4: the diversifier D, and I = S || P.
	D := bytes.Repeat([]byte{purpose}, v)
	I := append(repeatTo(salt, v), repeatTo(password, v)...)

	var A []byte
	for {
		// Step 6A: A_i = H^r(D || I).
		h.Reset()
		h.Write(D)
		h.Write(I)
		Ai := h.Sum(nil)
		for range iterations - 1 {
			h.Reset()
			h.Write(Ai)
			Ai = h.Sum(Ai[:0])
		}
		A = append(A, Ai...)
		if len(A) >= size {
			return A[:size] // steps 7 and 8
		}

		// Steps 6B and 6C: I_j = (I_j + B + 1) mod 2^(8v), for each block of v bytes.
		B := repeatTo(Ai, v)[:v]
		for j := 0; j < len(I); j += v {
			carry := 1
			for k := v - 1; k >= 0; k-- {
				carry += int(I[j+k]) + int(B[k])
				I[j+k] = byte(carry)
				carry >>= 8
			}
		}
	}
}

// deriveCost is the number of hash iterations that deriving size bytes with a hash
// of hashSize bytes takes.
func deriveCost(iterations, size, hashSize int) int {
	return iterations * ((size + hashSize - 1) / hashSize)
}

// repeatTo repeats pattern up to the next multiple of v bytes; an empty pattern
// stays empty.
func repeatTo(pattern []byte, v int) []byte {
	if len(pattern) == 0 {
		return nil
	}
	n := (len(pattern) + v - 1) / v * v
	return bytes.Repeat(pattern, (n+len(pattern)-1)/len(pattern))[:n]
}
