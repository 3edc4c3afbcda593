// Package keyvault is the data-plane door: it speaks the Azure Key Vault REST
// API over the rules in certificate, key and secret. It owns what is particular to
// that API: the routes, which hosts name a vault, the api-versions, the JSON shapes
// and the codes of failures. It decides nothing about certificates and keeps nothing
// between two requests but what it can make again.
//
// The order of checks is pipeline's, and so are the record, the log and the budget;
// what doors share of the wire is in rest.
package keyvault
