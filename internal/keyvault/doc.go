// Package keyvault is the data-plane door: it speaks the Azure Key Vault REST
// API over the rules in certificate, key and secret. It owns the routes, the
// order of checks, the api-versions, the JSON shapes, paging, and the one table
// from kinds of failure to statuses and codes. It decides nothing about
// certificates and keeps nothing between two requests.
package keyvault
