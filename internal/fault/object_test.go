package fault_test

import (
	"errors"
	"testing"

	"coffer/internal/fault"
)

// The recorded texts, word by word: clients and their tests compare them.
func TestTheAnswersAboutObjects(t *testing.T) {
	const help = " For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
	for _, tc := range []struct {
		err  error
		want fault.Error
	}{
		{fault.Certificate.NotFound("Web/1"), fault.Error{Kind: fault.NotFound, Subject: fault.Certificate,
			Msg: "A certificate with (name/id) Web/1 was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command." + help}},
		{fault.Key.DeletedNotFound("Web"), fault.Error{Kind: fault.NotFound, Subject: fault.Key, Msg: "Deleted Key not found: Web"}},
		{fault.Secret.NameDeleted("Web"), fault.Error{Kind: fault.Conflict, Reason: fault.ObjectIsDeletedButRecoverable, Subject: fault.Secret,
			Msg: "Secret Web is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged."}},
		{fault.Key.Managed("set"), fault.Error{Kind: fault.Forbidden, Reason: fault.KeyManagedByKeyVault,
			Msg: `Operation "set" is not allowed as this object's lifetime is managed by Key Vault.`}},
		{fault.Secret.Managed("delete"), fault.Error{Kind: fault.Forbidden, Reason: fault.SecretManagedByKeyVault,
			Msg: `Operation "delete" is not allowed as this object's lifetime is managed by Key Vault.`}},
	} {
		var got *fault.Error
		if !errors.As(tc.err, &got) || *got != tc.want {
			t.Errorf("got  %#v\nwant %#v", tc.err, tc.want)
		}
	}
}
