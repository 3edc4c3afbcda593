package pki

import "bytes"

// SortChain puts leaf first, then its issuer, and so on to the root; what does
// not belong to that path follows in input order, copies of the leaf are dropped
// (contract certificates.md, 7.7). An issuer is found by its name, and by the
// key identifiers when both certificates have one; signatures are not looked at.
func SortChain(leaf *Certificate, others []*Certificate) []*Certificate {
	chain := []*Certificate{leaf}
	var rest []*Certificate
	for _, c := range others {
		if !bytes.Equal(c.Raw, leaf.Raw) {
			rest = append(rest, c)
		}
	}
	// Each round takes one certificate away, so that a loop of issuers ends.
	for current := leaf; !selfIssued(current); {
		best := -1
		for i, c := range rest {
			grade := issuerGrade(current, c)
			if grade > 0 && (best < 0 || grade > issuerGrade(current, rest[best])) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		current = rest[best]
		chain = append(chain, current)
		rest = append(rest[:best:best], rest[best+1:]...)
	}
	return append(chain, rest...)
}

// issuerGrade says how well issuer fits: 0 not at all, 1 by name, 2 by name and
// key identifier.
func issuerGrade(c, issuer *Certificate) int {
	if !bytes.Equal(c.RawIssuer, issuer.RawSubject) {
		return 0
	}
	if len(c.AuthorityKeyID) == 0 || len(issuer.SubjectKeyID) == 0 {
		return 1
	}
	if !bytes.Equal(c.AuthorityKeyID, issuer.SubjectKeyID) {
		return 0
	}
	return 2
}

func selfIssued(c *Certificate) bool { return issuerGrade(c, c) > 0 }
