// Command bench measures a vault over loopback TLS with a verified token, beside
// a bare net/http TLS handler that answers the same bytes, in the same run.
//
//	go run ./bench            the whole measurement, about twenty minutes
//	go run ./bench -quick     a short look, about three minutes
//	go run ./bench -against BINARY    this tree beside another build, about six minutes
//
// Machines are noisy: it alternates between the vault and the bare handler and
// prints medians and ratios. It never asserts anything: docs/performance.md says what
// the numbers were.
package main
