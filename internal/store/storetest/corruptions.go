package storetest

import (
	"errors"
	"strings"

	"coffer/internal/certificate"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// corruptions: CheckVault finds nothing in a whole vault, and every corruption that is made
// on purpose.
func corruptions(s *suite) {
	v := s.vault("one")
	gone := &object.Deletion{At: epoch, PurgeAt: epoch}
	ver := versionID(1_000_001)
	head := object.Head{Vault: v, Name: web, Managed: true, Current: ver}
	whole := func(tx *store.Tx) error {
		return errors.Join(purge(s.ctx, tx, v, web), tx.DeleteJobs(s.ctx, "issue", v, string(versionID(1))), issued(s.ctx, tx, v, web, 1))
	}
	pending := func(tx *store.Tx) error {
		return errors.Join(purge(s.ctx, tx, v, web), tx.DeleteJobs(s.ctx, "issue", v, string(versionID(1))), begin(s.ctx, tx, v, web, 1))
	}
	own := func(current int, versions ...int) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			errs := []error{purge(s.ctx, tx, v, web), tx.InsertSecret(s.ctx, object.Head{Vault: v, Name: web, Current: versionID(current)})}
			for _, n := range versions {
				errs = append(errs, tx.InsertSecretVersion(s.ctx, newSecret(v, web, versionID(n))))
			}
			return errors.Join(errs...)
		}
	}
	for _, c := range []struct {
		change, want string // "" is whole
		from, make   func(tx *store.Tx) error
	}{
		{"none", "", whole, func(*store.Tx) error { return nil }},
		{"none pending", "", pending, func(*store.Tx) error { return nil }},
		{"key purged", "no key", whole, func(tx *store.Tx) error { return tx.PurgeKey(s.ctx, v, web) }},
		{"secret purged", "no secret", whole, func(tx *store.Tx) error { return tx.PurgeSecret(s.ctx, v, web) }},
		{"certificate purged", "a managed key without its certificate", whole, func(tx *store.Tx) error { return tx.PurgeCertificate(s.ctx, v, web) }},
		{"key deleted alone", "agree on deletion", whole, func(tx *store.Tx) error {
			h := head
			h.Deletion = gone
			return tx.UpdateKeyHead(s.ctx, h)
		}},
		{"current of the secret", "of the secret", whole, func(tx *store.Tx) error {
			h := head
			h.Current = versionID(5)
			return tx.UpdateSecretHead(s.ctx, h)
		}},
		{"current of the certificate", "whose current version is missing", whole, func(tx *store.Tx) error {
			return tx.UpdateCertificate(s.ctx, &certificate.Certificate{Head: object.Head{Vault: v, Name: web, Current: versionID(5)}, Policy: policy()})
		}},
		{"a version without key and secret", "lacks its key", whole, func(tx *store.Tx) error {
			return tx.InsertVersion(s.ctx, newCertificate(v, web, versionID(5)))
		}},
		{"a key version alone", "a managed key version without", whole, func(tx *store.Tx) error {
			return tx.InsertKeyVersion(s.ctx, newKey(v, web, versionID(5)))
		}},
		{"another key", "not the certificate's", whole, func(tx *store.Tx) error {
			c, k := newCertificate(v, web, versionID(5)), newKey(v, web, versionID(5))
			k.Public = []byte("another")
			return errors.Join(tx.InsertVersion(s.ctx, c), tx.InsertKeyVersion(s.ctx, k), tx.InsertSecretVersion(s.ctx, newSecret(v, web, versionID(5))))
		}},
		{"a placeholder beside", "placeholder", whole, func(tx *store.Tx) error {
			return tx.InsertVersion(s.ctx, placeholder(v, web, versionID(5)))
		}},
		{"no job", "has no job", pending, func(tx *store.Tx) error { return tx.DeleteJobs(s.ctx, "issue", v, string(versionID(1))) }},
		{"no pending key", "is empty", pending, func(tx *store.Tx) error {
			op := newOperation(v, web, string(versionID(1)))
			op.Private = nil
			return tx.PutOperation(s.ctx, op)
		}},
		{"a key too early", "nothing is completed", pending, func(tx *store.Tx) error {
			return tx.InsertKeyVersion(s.ctx, newKey(v, web, versionID(1)))
		}},
		{"a finished operation with a key", "keeps a private key", whole, func(tx *store.Tx) error {
			op := newOperation(v, web, string(versionID(1)))
			op.Status = "completed"
			return tx.PutOperation(s.ctx, op)
		}},
		{"none of a secret of its own", "", whole, own(2, 1, 2)},
		{"a secret of its own with an older version", "the last one", whole, own(1, 1, 2)},
		{"a secret of its own without its version", "a secret whose current version is missing", whole, own(2, 1)},
		{"a secret of its own without a value", "is empty", whole, func(tx *store.Tx) error {
			empty := newSecret(v, web, versionID(5))
			empty.Value = nil
			return errors.Join(own(5)(tx), tx.InsertSecretVersion(s.ctx, empty))
		}},
		{"a secret of its own without a version", "without a version", whole, func(tx *store.Tx) error {
			return errors.Join(purge(s.ctx, tx, v, web), tx.InsertSecret(s.ctx, object.Head{Vault: v, Name: web}))
		}},
	} {
		s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { return errors.Join(c.from(tx), c.make(tx)) }))
		found := errors.Join(CheckVault(s.ctx, s.db)...)
		if c.want == "" && found != nil || c.want != "" && (found == nil || !strings.Contains(found.Error(), c.want)) {
			s.Errorf("%s: found %v, want %q", c.change, found, c.want)
		}
		s.must(s.db.Update(s.ctx, whole)) // drops what the change left
	}
	opened := 0
	CheckVault(s.ctx, s.db, func(p seal.Place, b seal.Box) error { opened++; return nil })
	if opened != 2 {
		s.Errorf("%d boxes were opened, want 2", opened)
	}
}
