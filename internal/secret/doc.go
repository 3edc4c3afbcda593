// Package secret owns secrets and their versions: values sealed at rest, opened
// only by a read or a backup. A secret that belongs to a certificate is read
// here and written by certificate. The PFX or PEM in it is bundle's to write.
package secret
