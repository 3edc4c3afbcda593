// Package rest holds the parts of a JSON-over-HTTP door in Azure's manner, each
// usable by itself: a path cut once, typed routes, a query, a checked Host,
// api-versions, a body read member by member with one report of all that is wrong,
// answers encoded before their first byte, failures, and pages of lists.
//
// It leaves to pipeline in which order they are used, to access who may do what,
// and to each door its routes, its words and its shapes.
package rest
