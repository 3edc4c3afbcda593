package issuance

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"coffer/internal/pki"
)

// Differences are what a certificate says otherwise than its policy ordered it, each
// as a part of a sentence about the certificate, for people. They repeat names and
// OIDs of the certificate, quoted and cut. The zero Differences: none.
type Differences struct {
	Refused  []string // wider or different, so that no issuer's certificate may be so
	Wider    []string // more than was ordered, and yet taken
	Narrower []string // less than was ordered
}

// Accept compares what an issuer delivered with what was ordered of it (contract
// issuers.md, 1.4): leaf is to be for the key, as the policy says or narrower, and
// others, in any order, are to lead upwards from it. chain is what does, in the order
// of others, without copies. A refusal says everything that is wrong. Accept reads
// nothing but its arguments; whoever calls it bounds the number of others.
func Accept(p *Policy, key crypto.PublicKey, leaf *pki.Certificate, others []*pki.Certificate, now time.Time) (
	chain []*pki.Certificate, d Differences, refusal *OperationError) {
	if leaf.PublicKey == nil || !pki.PublicEqual(leaf.PublicKey, key) {
		return nil, d, &OperationError{Code: IssuerError, Message: "The issuer delivered a certificate that is not for the requested key."}
	}
	chain, d = Compare(p, leaf, others, now)
	if len(d.Refused) == 0 {
		return chain, d, nil
	}
	// The serial number finds it at the authority, where it is to be revoked.
	return nil, d, &OperationError{Code: IssuerError, Message: fmt.Sprintf("The issuer delivered a certificate, of serial number %s, that was not"+
		" ordered so: %s. It is not used. Change the policy, or what the issuer is set up to issue; it can also be merged as it is.",
		leaf.SerialHex(), strings.Join(d.Refused, "; "))}
}

// Compare is Accept of a certificate that somebody else chose: it refuses nothing, and
// the key is not looked at.
func Compare(p *Policy, leaf *pki.Certificate, others []*pki.Certificate, now time.Time) (chain []*pki.Certificate, d Differences) {
	d.names(&p.X509, leaf)
	d.authority(&p.X509, leaf)
	d.keyUsage(&p.X509, leaf)
	d.ekus(&p.X509, leaf)
	d.validity(p, leaf, now)
	chain = d.chain(leaf, others, now)
	return chain, d
}

func refuse(d *Differences, format string, args ...any) {
	d.Refused = append(d.Refused, fmt.Sprintf(format, args...))
}

func wider(d *Differences, format string, args ...any) {
	d.Wider = append(d.Wider, fmt.Sprintf(format, args...))
}

func narrower(d *Differences, format string, args ...any) {
	d.Narrower = append(d.Narrower, fmt.Sprintf(format, args...))
}

// names wants every name of the order: those of the lists, and a common name that
// could be a host's, which an authority may move to the lists (contract issuers.md,
// 1.3). The rest of a subject is the authority's, who vouches for it.
func (d *Differences) names(x *X509Props, leaf *pki.Certificate) {
	ordered := SANs{}
	if x.SANs != nil {
		ordered = *x.SANs
	}
	var subject string
	var hosts []string
	if der, err := pki.ParseName(x.Subject); err == nil {
		subject, _ = pki.FormatName(der) // it is what ParseName wrote
		hosts = hostNames(pki.CommonNames(der))
	}
	common := hostNames(pki.CommonNames(leaf.RawSubject))
	have := slices.Concat(hostNames(leaf.SANs.DNSNames), hostNames(leaf.SANs.IPAddresses), common)
	if missing := without(hosts, have); len(missing) > 0 {
		refuse(d, "the common name %s is missing", quoted(missing))
	}
	for _, l := range nameLists {
		want, got := canonical(l.of(&ordered), l.canonical), canonical(l.of(&leaf.SANs), l.canonical)
		if missing := without(want, got); len(missing) > 0 {
			refuse(d, "%s without %s", l.member, quoted(missing))
		}
		if more := without(got, slices.Concat(want, hosts)); len(more) > 0 {
			wider(d, "%s with %s", l.member, quoted(more))
		}
	}
	switch text := leaf.Subject(); {
	case subject == "" || text == subject: // without a subject in the order it is the authority's
	case text == "":
		narrower(d, "no subject instead of %s", quoted([]string{subject}))
	default:
		wider(d, "the subject %s instead of %s", quoted([]string{text}), quoted([]string{subject}))
	}
	known := slices.Concat(hosts, hostNames(ordered.DNSNames), hostNames(ordered.IPAddresses))
	if more := without(common, slices.Concat(known, hostNames(leaf.SANs.DNSNames), hostNames(leaf.SANs.IPAddresses))); len(more) > 0 {
		wider(d, "the common name %s", quoted(more))
	}
}

// hostNames are those of names that are IP addresses, or DNS names of more than one
// label, in the form in which they compare.
func hostNames(names []string) (hosts []string) {
	for _, n := range names {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		asIP, asDNS := SANs{IPAddresses: []string{n}}, SANs{DNSNames: []string{n}}
		if _, err := asIP.Check(); err == nil {
			hosts = append(hosts, canonicalIP(n))
		} else if _, err := asDNS.Check(); err == nil && strings.Contains(n, ".") {
			hosts = append(hosts, n)
		}
	}
	return hosts
}

// authority takes a CA only where one was ordered, and for no longer a path.
func (d *Differences) authority(x *X509Props, leaf *pki.Certificate) {
	switch have, want := leaf.PathLen, x.PathLen; {
	case leaf.CA && !x.CA:
		refuse(d, "it is a CA")
	case !leaf.CA && have != nil:
		refuse(d, "it has a path length, and is no CA")
	case !leaf.CA && x.CA:
		narrower(d, "no CA")
	case want != nil && have == nil:
		refuse(d, "no path length instead of %d", *want)
	case want != nil && *have > *want:
		refuse(d, "a path length of %d instead of %d", *have, *want)
	case have != nil && (want == nil || *have < *want):
		narrower(d, "a path length of %d", *have)
	}
}

// keyUsage takes what the key of an end entity may do, which the vault's own key
// limits by the policy (contract certificates.md, 7.3): authorities' profiles add
// keyAgreement and the like. To sign certificates and CRLs is another power. Without
// the extension a key may do everything (RFC 5280, section 4.2.1.3).
func (d *Differences) keyUsage(x *X509Props, leaf *pki.Certificate) {
	var more []string
	for _, word := range without(leaf.KeyUsage, x.KeyUsage) {
		switch {
		case word != "keyCertSign" && word != "cRLSign":
			more = append(more, word)
		case !leaf.CA || !x.CA:
			refuse(d, "the key usage %s", word)
		}
	}
	switch {
	case len(x.KeyUsage) == 0 && leaf.HasKeyUsage:
		narrower(d, "key usages of %s only", quoted(leaf.KeyUsage))
	case len(x.KeyUsage) == 0:
	case !leaf.HasKeyUsage:
		refuse(d, "no limit of key usages")
	default:
		if len(more) > 0 {
			wider(d, "key usages with %s", quoted(more))
		}
		if missing := without(x.KeyUsage, leaf.KeyUsage); len(missing) > 0 {
			narrower(d, "key usages without %s", quoted(missing))
		}
	}
}

// ekus takes no purpose that was not ordered: some, such as OCSP signing, are there
// only when they are named. Without the extension a certificate is for any purpose
// (RFC 5280, section 4.2.1.12). A policy without ekus leaves them to the authority,
// within what a policy that does not speak of them gets.
func (d *Differences) ekus(x *X509Props, leaf *pki.Certificate) {
	ordered := x.EKUs
	if len(ordered) == 0 {
		ordered = defaultEKUs
	}
	if more := without(leaf.EKUs, ordered); len(more) > 0 {
		refuse(d, "extended key usages with %s", quoted(more))
	}
	switch {
	case len(x.EKUs) == 0 && leaf.HasEKUs:
		narrower(d, "extended key usages of %s only", quoted(leaf.EKUs))
	case len(x.EKUs) == 0:
	case !leaf.HasEKUs:
		refuse(d, "no limit of extended key usages")
	default:
		if missing := without(x.EKUs, leaf.EKUs); len(missing) > 0 {
			narrower(d, "extended key usages without %s", quoted(missing))
		}
	}
}

const (
	clockSkew = 5 * time.Minute // between an authority's clock and ours (contract issuers.md, 1.4)

	// lookedAt is how long a certificate may have lain at the authority, and what
	// authorities round: within it an end is as ordered.
	lookedAt = 48 * time.Hour
)

// validity takes any end in the future: the authority's dates win over the policy's
// (contract issuers.md, 1.3).
func (d *Differences) validity(p *Policy, leaf *pki.Certificate, now time.Time) {
	switch {
	case leaf.NotBefore.After(now.Add(clockSkew)):
		refuse(d, "it is not valid before %s", leaf.NotBefore.Format(time.RFC3339))
	case !leaf.NotAfter.After(now):
		refuse(d, "it expired %s", leaf.NotAfter.Format(time.RFC3339))
	case !leaf.NotAfter.After(leaf.NotBefore):
		refuse(d, "it ends before it begins")
	}
	_, end := p.Validity(now)
	text := fmt.Sprintf("valid until %s instead of %s", leaf.NotAfter.Format(time.DateOnly), end.Format(time.DateOnly))
	if leaf.NotAfter.Before(end.Add(-lookedAt)) {
		narrower(d, "%s", text)
	} else if leaf.NotAfter.After(end.Add(lookedAt)) {
		wider(d, "%s", text)
	}
}

// chain is those of others that lead upwards from leaf, in their order. What does not
// is dropped if the way ends at a root; else it may be a chain with a gap, or that of
// another certificate, and is refused.
func (d *Differences) chain(leaf *pki.Certificate, others []*pki.Certificate, now time.Time) (chain []*pki.Certificate) {
	var distinct []*pki.Certificate
	for _, c := range others {
		same := func(o *pki.Certificate) bool { return bytes.Equal(o.Raw, c.Raw) }
		if !same(leaf) && !slices.ContainsFunc(distinct, same) {
			distinct = append(distinct, c)
		}
	}
	above, rooted, problems := above(leaf, distinct, now)
	for _, c := range distinct {
		if above[c] {
			chain = append(chain, c)
		}
	}
	var why string
	if len(problems) > 0 {
		why = ": " + strings.Join(problems[:min(len(problems), 3)], ", ")
	}
	switch rest := len(distinct) - len(chain); {
	case len(chain) == 0 && leaf.SelfIssued() && leaf.CheckIssuedBy(leaf) != nil:
		refuse(d, "its own signature does not verify")
	case rest > 0 && len(chain) == 0:
		refuse(d, "the chain is of another certificate%s", why)
	case rest > 0 && !rooted:
		refuse(d, "the chain has a gap, or what does not belong to it%s", why)
	case len(distinct) == 0 && !leaf.SelfIssued():
		narrower(d, "no chain")
	case rest > 0:
		wider(d, "%d certificates that do not belong to its chain, and are dropped", rest)
	}
	return chain
}

// above finds those of others that issued leaf, that issued these, and so on, by name
// and signature; rooted tells that one of them is a root. problems are why some that
// are named as issuers are none.
func above(leaf *pki.Certificate, others []*pki.Certificate, now time.Time) (found map[*pki.Certificate]bool, rooted bool, problems []string) {
	type step struct {
		c     *pki.Certificate
		below int // intermediates between it and the leaf
	}
	found = make(map[*pki.Certificate]bool)
	way := []step{{leaf, 0}}
	for len(way) > 0 {
		s := way[0]
		way = way[1:]
		below := s.below
		if s.c != leaf && s.c.SelfIssued() {
			rooted = true
		} else if s.c != leaf {
			below++
		}
		for _, o := range others {
			if found[o] || !s.c.NamesIssuer(o) {
				continue
			}
			if why := mayNotIssue(o, s.c, below, now); why != "" {
				problems = append(problems, quoted([]string{o.Subject()})+" "+why)
				continue
			}
			found[o] = true
			way = append(way, step{o, below})
		}
	}
	return found, rooted, problems
}

// mayNotIssue tells why issuer, which c names, did not issue it, or might not have
// (RFC 5280, sections 6.1.3 and 6.1.4); "" when it did. Roots of version 1 do not say
// that they are CAs.
func mayNotIssue(issuer, c *pki.Certificate, below int, now time.Time) string {
	switch {
	case !issuer.CA && (issuer.HasBasicConstraints || !issuer.SelfIssued()):
		return "is no CA"
	case issuer.HasKeyUsage && !slices.Contains(issuer.KeyUsage, "keyCertSign"):
		return "may not sign certificates"
	case issuer.PathLen != nil && *issuer.PathLen < below:
		return "may not have so many CAs below it"
	case !issuer.NotAfter.After(now) || issuer.NotBefore.After(now.Add(clockSkew)):
		return "is not valid now"
	}
	if err := c.CheckIssuedBy(issuer); err != nil {
		return "did not sign: " + err.Error()
	}
	return ""
}

// without is what of list is not in taken, in its order.
func without(list, taken []string) (rest []string) {
	for _, s := range list {
		if !slices.Contains(taken, s) {
			rest = append(rest, s)
		}
	}
	return rest
}

// Bounds of what a text repeats of a certificate.
const (
	maxQuoted     = 5   // names
	maxQuotedText = 100 // octets of one
)

// quoted is a list as a text shows it: nothing in it passes for the text's own.
func quoted(list []string) string {
	var out []string
	for i, s := range list {
		if i == maxQuoted {
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(list)-i)
		}
		if len(s) > maxQuotedText {
			s = s[:maxQuotedText] + "..."
		}
		out = append(out, strconv.QuoteToASCII(s))
	}
	return strings.Join(out, ", ")
}
