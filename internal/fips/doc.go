// Package fips is what FIPS mode (GODEBUG=fips140=only) changes: it says whether it is on, how that is told to whoever asks for
// what it excludes, and takes the digests that name things and protect nothing. What is refused is said where it is
// offered.
package fips
