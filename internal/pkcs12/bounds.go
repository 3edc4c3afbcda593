package pkcs12

// What a file may ask of us.
const (
	// maxSize is the size of a file in bytes (contract certificates.md, 14).
	maxSize = 200 << 10
	// maxBags counts all bags of a file: 100 certificates and their key.
	maxBags = 101
	// maxNesting is how deep SafeContents may lie within each other.
	maxNesting = 4
	// maxAttributes is the number of attributes of one bag.
	maxAttributes = 32
	// maxAttribute is the size in bytes of a localKeyId or a friendlyName.
	maxAttribute = 1024
	// maxSalt is the size of a salt in bytes; programs write 8 to 64.
	maxSalt = 1024
	// maxPassword is the size of a password in bytes of UTF-8. The wire allows 200
	// characters (contract certificates.md, 8.2).
	maxPassword = 1024
	// maxCost is the work on one file, in hash iterations summed over all its
	// derivations, second attempts included: about a quarter of a second. OpenSSL
	// writes 2,048 a derivation, Windows 2,000, Java 10,000 and formerly 50,000 with
	// 100,000 for the MAC, which comes to 350,000.
	maxCost = 600_000
	// maxScrypt bounds N*r*p of scrypt, which needs 128 bytes for each: 64 MiB.
	// A unit takes about as long as a hash iteration, and is charged as one.
	maxScrypt = 64 << 20 / 128
)

// budget is the number of hash iterations that may still be made.
type budget int

// spend takes cost from the budget, and must come before the work.
func (b *budget) spend(cost int) error {
	if cost > int(*b) {
		return ErrTooCostly
	}
	*b -= budget(cost)
	return nil
}
