// Package guid makes and reads the GUIDs that name tenants, principals and
// requests, in one canonical spelling. Whose each is, it does not know.
package guid
