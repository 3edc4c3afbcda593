package fault

import "strings"

// The recorded answers about objects, which differ by the word of the family only
// (contract errors.md, 4.5). They are those of Certificate, Key and Secret.

// Word is the subject within a sentence: "certificate".
func (s Subject) Word() string { return strings.ToLower(string(s)) }

// NotFound is the answer about an object, or a version of it, that is not there;
// id is "name" or "name/version" as the caller wrote it.
func (s Subject) NotFound(id string) error {
	return &Error{Kind: NotFound, Subject: s, Msg: "A " + s.Word() + " with (name/id) " + id +
		" was not found in this key vault. If you recently deleted this " + s.Word() +
		" you may be able to recover it using the correct recovery command." +
		" For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}
}

// DeletedNotFound is the answer about an object that is not in the deleted
// collection.
func (s Subject) DeletedNotFound(name string) error {
	return &Error{Kind: NotFound, Subject: s, Msg: "Deleted " + string(s) + " not found: " + name}
}

// NameDeleted is the answer to a write under the name of a deleted object.
func (s Subject) NameDeleted(name string) error {
	return &Error{Kind: Conflict, Reason: ObjectIsDeletedButRecoverable, Subject: s,
		Msg: string(s) + " " + name + " is currently in a deleted but recoverable state, and its name cannot be reused;" +
			" in this state, the " + s.Word() + " can only be recovered or purged."}
}

// Managed is the answer to a write to the key or secret of a certificate, which
// is changed through its certificate only (contract certificates.md, 7.2). op is
// the word of the message, such as "delete".
func (s Subject) Managed(op string) error {
	return &Error{Kind: Forbidden, Reason: Reason(string(s) + "ManagedByKeyVault"),
		Msg: `Operation "` + op + `" is not allowed as this object's lifetime is managed by Key Vault.`}
}
