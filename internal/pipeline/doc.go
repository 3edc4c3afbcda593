// Package pipeline is the way of a request through every HTTP door: one order of
// checks, one record, one log event, one answer. A door gives its routes, how its
// host or path names the vault, its api-versions, its words for failures and its
// header; each endpoint gives an action, a parse, a rule and a render. None of them
// can leave out a step or answer before the record.
//
// Three values carry a request, each with one owner: what arrived, which nobody
// changes; what was admitted, which only the checks write; and what was parsed, which
// is the endpoint's and has been checked whole when the rule gets it.
//
// Who calls is authn's to say, what a caller may do access's, and the forms on the
// wire are in rest and in the doors.
package pipeline
