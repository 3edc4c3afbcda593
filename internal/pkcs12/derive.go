package pkcs12

import (
	"bytes"
	"hash"
	"slices"
)

// What bytes are derived for (RFC 7292, appendix B.3): other purpose, other bytes.
const (
	forKey byte = 1
	forIV  byte = 2
	forMAC byte = 3
)

// deriveBytes makes size bytes from a password in its BMPString form (RFC 7292,
// appendix B.2, whose names are in the comments). Salt and password may be empty.
func deriveBytes(newHash func() hash.Hash, salt, password []byte, iterations int, purpose byte, size int) []byte {
	h := newHash()
	diversifier := bytes.Repeat([]byte{purpose}, h.BlockSize())                      // D
	input := slices.Concat(fill(salt, h.BlockSize()), fill(password, h.BlockSize())) // I = S || P
	var out []byte
	for {
		h.Reset()
		h.Write(diversifier)
		h.Write(input)
		sum := h.Sum(nil) // A
		for range iterations - 1 {
			h.Reset()
			h.Write(sum)
			sum = h.Sum(sum[:0])
		}
		if out = append(out, sum...); len(out) >= size {
			return out[:size]
		}
		addend := fill(sum, h.BlockSize()) // B
		for block := range slices.Chunk(input, h.BlockSize()) {
			addAndOne(block, addend)
		}
	}
}

// deriveCost is the number of hash iterations that size bytes take, of a hash of
// hashSize bytes.
func deriveCost(iterations, size, hashSize int) int {
	return iterations * ((size + hashSize - 1) / hashSize)
}

// fill repeats b, the last time in part, up to a multiple of blockSize. Nothing
// stays nothing.
func fill(b []byte, blockSize int) []byte {
	out := make([]byte, (len(b)+blockSize-1)/blockSize*blockSize)
	for n := 0; n < len(out); n += len(b) {
		copy(out[n:], b)
	}
	return out
}

// addAndOne adds addend and 1 to a number of the same size, big endian; what
// overflows is lost.
func addAndOne(number, addend []byte) {
	carry := uint(1)
	for i := len(number) - 1; i >= 0; i-- {
		carry += uint(number[i]) + uint(addend[i])
		number[i] = byte(carry)
		carry >>= 8
	}
}
