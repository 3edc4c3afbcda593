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
	// MaxIterations is the count of one derivation.
	MaxIterations = 1_000_000
	// MaxCost is the work on one file, in hash iterations summed over all its
	// derivations, second attempts included: some two seconds. A door that lets many
	// callers in bounds how many files are read at a time.
	//
	// What the writers of such files ask for:
	//
	//	writer                                    a derivation     of a file with one CA certificate
	//	OpenSSL, LibreSSL, node-forge, macOS             2,048              14,000
	//	Windows, .NET                                    2,000              14,000
	//	Java since 8u301 and 16 (keytool)               10,000              30,000
	//	Java 9 to 15          50,000, for the MAC      100,000             400,000
	//	Python cryptography                             20,000             120,000
	//	Bouncy Castle         51,200, for the MAC      102,400             410,000
	//	GnuTLS (certtool)                              600,000           2,400,000
	//	NSS (pk12util), Firefox                        600,000           1,800,000
	//	the same, with 3DES and RC2                    600,000           3,600,000
	//
	// The first PKCS#12 ciphers cost more than their count: SHA-1 gives 20 bytes, and
	// 3DES takes two runs for the key and one for the IV. GnuTLS derives for each
	// certificate anew: a chain of six is within the bound.
	MaxCost = 8 * 600_000
	// maxScrypt bounds N*r*p of scrypt, which needs 128 bytes for each: 64 MiB.
	// A unit takes about as long as a hash iteration, and is charged as one.
	maxScrypt = 64 << 20 / 128
)

// budget is the number of hash iterations that may still be made.
type budget int

// spend takes cost from the budget, and must come before the work: all of a file's
// where it is parsed, and each attempt's again where it is made.
func (b *budget) spend(cost int) error {
	if cost > int(*b) {
		return ErrTooCostly
	}
	*b -= budget(cost)
	return nil
}
