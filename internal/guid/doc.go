// Package guid makes and reads the GUIDs that name tenants, principals and
// requests, in one canonical spelling.
package guid
