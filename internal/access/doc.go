// Package access decides what a caller may do, and is the gate that every
// operation on an object passes.
//
// [Decide] is a pure function of the caller, the action, the name and the rules
// of the vault; it answers requests, fills the audit record and explains a
// refusal. [Gate] asks it, puts the attempt on record and hands out a [Grant]:
// the proof, without which no domain acts, that exactly this was allowed.
//
// A vault is in one of two models, access policies or roles, and never in both
// (contract access-control.md, 1). Lists are checked on the vault and are not
// filtered. There are no deny assignments: nobody can make one.
//
// Who the caller is, is told by authn; what a vault's rules are, by vault and the
// store; who changes them, by management.
package access
