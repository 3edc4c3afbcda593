// Package management holds the rules of resources: vaults with their access
// policies and network rules, and role assignments. Each demands the grant of its
// own action, and acts on what the grant is for and on nothing else. It serves the
// operator's socket and every management door alike.
//
// What a setting's bounds are is vault's; who may do what is access's; principals
// are the directory's.
package management
