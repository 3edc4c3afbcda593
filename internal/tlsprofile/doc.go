// Package tlsprofile says which TLS is spoken, by listeners and by our own clients alike: versions and
// cipher suites. Certificates and trust are left to who uses it.
package tlsprofile
