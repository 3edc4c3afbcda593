package storetest

import (
	"time"

	"coffer/internal/hsm"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/secret"
	"coffer/internal/store"
)

func keys(s *suite) {
	v := s.vault("one")
	head := object.Head{Vault: v, Name: web, Managed: true}
	full := newKey(v, web, versionID(9))
	bare := &key.Version{Vault: v, Name: web, Version: versionID(1), Spec: pki.KeySpec{Algorithm: pki.RSA, Size: 2048},
		Public: []byte("public"), Private: Box("box"), Attributes: object.Attributes{Created: epoch, Updated: epoch}}
	empty := newKey(v, web, versionID(5))
	empty.Ops = []key.Op{}
	empty.HSM = hsm.ID{0, 0, 1}
	s.update(func(tx *store.Tx) {
		_, err := tx.KeyHead(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
		s.wantErr(tx.UpdateKeyHead(s.ctx, head), object.ErrNotFound)
		s.must(tx.InsertKey(s.ctx, head))
		s.wantErr(tx.InsertKey(s.ctx, object.Head{Vault: v, Name: object.MustName("WEB-1")}), object.ErrExists)
		got, err := tx.KeyHead(s.ctx, v, object.MustName("web-1"))
		same(s, got, err, head)
		list, err := tx.Keys(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, nil) // it has no version yet
		for _, k := range []*key.Version{full, bare, empty} {
			s.must(tx.InsertKeyVersion(s.ctx, k))
		}
		s.wantErr(tx.InsertKeyVersion(s.ctx, full), object.ErrExists)
		s.wantErr(tx.UpdateKeyVersion(s.ctx, newKey(v, web, versionID(8))), object.ErrNotFound)
		head.Current = bare.Version
		s.must(tx.UpdateKeyHead(s.ctx, head))
	})
	s.view(func(tx *store.Tx) {
		for _, want := range []*key.Version{full, bare, empty} {
			got, err := tx.KeyVersion(s.ctx, v, web, want.Version)
			same(s, got, err, want)
		}
		_, err := tx.KeyVersion(s.ctx, v, web, versionID(8))
		s.wantErr(err, object.ErrNotFound)
		all, err := tx.KeyVersions(s.ctx, v, web, object.Page{})
		same(s, all, err, []*key.Version{full, bare, empty})
		page, err := tx.KeyVersions(s.ctx, v, web, object.Page{Limit: 1, After: string(full.Version)})
		same(s, page, err, []*key.Version{public(bare)})
		page, err = tx.KeyVersions(s.ctx, v, web, object.Page{Limit: 1, After: string(versionID(8))})
		same(s, page, err, nil)
		list, err := tx.Keys(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, []key.Listed{{Head: head, Version: *public(bare)}})
		list, err = tx.Keys(s.ctx, v, object.Page{Limit: 25, After: "web-1"})
		same(s, list, err, nil)
	})
	s.update(func(tx *store.Tx) {
		bare.Attributes, bare.Tags, bare.Ops = attributes(), object.Tags{"a": "b"}, []key.Op{key.Decrypt}
		changed := *bare
		changed.Private, changed.Public, changed.Exportable = nil, nil, true
		s.must(tx.UpdateKeyVersion(s.ctx, &changed)) // the rest is not stored
		got, err := tx.KeyVersion(s.ctx, v, web, bare.Version)
		same(s, got, err, bare)

		head.Deletion = &object.Deletion{At: epoch, PurgeAt: epoch.Add(time.Hour)}
		s.must(tx.UpdateKeyHead(s.ctx, head))
		gotHead, err := tx.KeyHead(s.ctx, v, web)
		same(s, gotHead, err, head)
		list, err := tx.Keys(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, nil)
		page, err := tx.KeyVersions(s.ctx, v, web, object.Page{Limit: 25})
		same(s, page, err, nil)
		all, err := tx.KeyVersions(s.ctx, v, web, object.Page{})
		same(s, len(all), err, 3)
		s.must(tx.PurgeKey(s.ctx, v, web))
		s.must(tx.PurgeKey(s.ctx, v, web))
		_, err = tx.KeyHead(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
		_, err = tx.KeyVersion(s.ctx, v, web, bare.Version)
		s.wantErr(err, object.ErrNotFound)
	})
}

// public is a key as lists show it.
func public(k *key.Version) *key.Version {
	p := *k
	p.Private = nil
	return &p
}

func secrets(s *suite) {
	v := s.vault("one")
	head := object.Head{Vault: v, Name: web, Managed: true}
	full := newSecret(v, web, versionID(9))
	bare := &secret.Version{Vault: v, Name: web, Version: versionID(1), Value: Box("box"),
		Tags: object.Tags{}, Attributes: object.Attributes{Created: epoch, Updated: epoch}}
	s.update(func(tx *store.Tx) {
		_, err := tx.SecretHead(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
		s.wantErr(tx.UpdateSecretHead(s.ctx, head), object.ErrNotFound)
		s.must(tx.InsertSecret(s.ctx, head))
		s.wantErr(tx.InsertSecret(s.ctx, object.Head{Vault: v, Name: object.MustName("WEB-1")}), object.ErrExists)
		got, err := tx.SecretHead(s.ctx, v, object.MustName("web-1"))
		same(s, got, err, head)
		list, err := tx.Secrets(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, nil) // it has no version yet
		for _, x := range []*secret.Version{full, bare} {
			s.must(tx.InsertSecretVersion(s.ctx, x))
		}
		s.wantErr(tx.InsertSecretVersion(s.ctx, full), object.ErrExists)
		s.wantErr(tx.UpdateSecretVersion(s.ctx, newSecret(v, web, versionID(8))), object.ErrNotFound)
		head.Current = full.Version
		s.must(tx.UpdateSecretHead(s.ctx, head))
	})
	s.view(func(tx *store.Tx) {
		for _, want := range []*secret.Version{full, bare} {
			got, err := tx.SecretVersion(s.ctx, v, web, want.Version)
			same(s, got, err, want)
		}
		_, err := tx.SecretVersion(s.ctx, v, web, versionID(8))
		s.wantErr(err, object.ErrNotFound)
		all, err := tx.SecretVersions(s.ctx, v, web, object.Page{})
		same(s, all, err, []*secret.Version{full, bare})
		page, err := tx.SecretVersions(s.ctx, v, web, object.Page{Limit: 1})
		same(s, page, err, []*secret.Version{closedBox(full)})
		page, err = tx.SecretVersions(s.ctx, v, web, object.Page{Limit: 1, After: string(full.Version)})
		same(s, page, err, []*secret.Version{closedBox(bare)})
		page, err = tx.SecretVersions(s.ctx, v, web, object.Page{Limit: 1, After: string(versionID(8))})
		same(s, page, err, nil)
		list, err := tx.Secrets(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, []secret.Listed{{Head: head, Version: *closedBox(full)}})
		list, err = tx.Secrets(s.ctx, v, object.Page{Limit: 25, After: "web-1"})
		same(s, list, err, nil)
	})
	s.update(func(tx *store.Tx) {
		bare.Attributes, bare.Tags, bare.ContentType = attributes(), nil, "x"
		changed := *bare
		changed.Value, changed.Previous = nil, versionID(4)
		s.must(tx.UpdateSecretVersion(s.ctx, &changed)) // the rest is not stored
		got, err := tx.SecretVersion(s.ctx, v, web, bare.Version)
		same(s, got, err, bare)

		head.Deletion = &object.Deletion{At: epoch, PurgeAt: epoch.Add(time.Hour)}
		s.must(tx.UpdateSecretHead(s.ctx, head))
		gotHead, err := tx.SecretHead(s.ctx, v, web)
		same(s, gotHead, err, head)
		list, err := tx.Secrets(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, nil)
		page, err := tx.SecretVersions(s.ctx, v, web, object.Page{Limit: 25})
		same(s, page, err, nil)
		all, err := tx.SecretVersions(s.ctx, v, web, object.Page{})
		same(s, len(all), err, 2)
		s.must(tx.PurgeSecret(s.ctx, v, web))
		s.must(tx.PurgeSecret(s.ctx, v, web))
		_, err = tx.SecretHead(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
		_, err = tx.SecretVersion(s.ctx, v, web, bare.Version)
		s.wantErr(err, object.ErrNotFound)
	})
}

// spelled wants the casing in which the object's name was first written; "" when
// there is no such object.
func (s *suite) spelled(tx *store.Tx, v object.VaultID, f object.Family, name, want string) {
	s.Helper()
	got, err := tx.Spelling(s.ctx, v, f, object.MustName(name))
	if want == "" {
		s.wantErr(err, object.ErrNotFound)
		return
	}
	same(s, got.String(), err, want)
}

// ownSecrets: those of their own are listed when they are deleted and found when
// they are due; those of certificates are neither.
func ownSecrets(s *suite) {
	v, next := s.vault("one"), s.vault("two")
	d := func(days int) *object.Deletion {
		return &object.Deletion{At: epoch, PurgeAt: epoch.AddDate(0, 0, days)}
	}
	heads := map[string]object.Head{}
	s.update(func(tx *store.Tx) {
		for i, h := range []object.Head{
			{Vault: v, Name: object.MustName("A"), Deletion: d(3)},
			{Vault: v, Name: object.MustName("b"), Managed: true, Deletion: d(1)},
			{Vault: v, Name: object.MustName("c")},
			{Vault: v, Name: object.MustName("d"), Deletion: d(2)},
			{Vault: next, Name: object.MustName("a"), Deletion: d(2)},
		} {
			h.Current = versionID(i)
			s.must(tx.InsertSecret(s.ctx, h))
			s.must(tx.InsertSecretVersion(s.ctx, newSecret(h.Vault, h.Name, h.Current)))
			if h.Vault == v {
				heads[h.Name.Key()] = h
			}
		}
	})
	listed := func(name string) secret.Listed {
		h := heads[name]
		return secret.Listed{Head: h, Version: *closedBox(newSecret(v, h.Name, h.Current))}
	}
	s.view(func(tx *store.Tx) {
		s.spelled(tx, v, object.Secrets, "a", "A") // deleted, too
		s.spelled(tx, next, object.Secrets, "A", "a")
		s.spelled(tx, next, object.Secrets, "b", "")
		s.spelled(tx, v, object.Keys, "a", "")
		list, err := tx.DeletedSecrets(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, []secret.Listed{listed("a"), listed("d")})
		list, err = tx.DeletedSecrets(s.ctx, v, object.Page{Limit: 1})
		same(s, list, err, []secret.Listed{listed("a")})
		list, err = tx.DeletedSecrets(s.ctx, v, object.Page{Limit: 25, After: "a"})
		same(s, list, err, []secret.Listed{listed("d")})
		list, err = tx.Secrets(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, []secret.Listed{listed("c")})

		due, err := tx.DueSecrets(s.ctx, epoch.AddDate(0, 0, 2).Add(-time.Second), 10)
		same(s, due, err, nil)
		due, err = tx.DueSecrets(s.ctx, epoch.AddDate(0, 0, 2), 10)
		same(s, len(due), err, 2) // one in each vault
		due, err = tx.DueSecrets(s.ctx, epoch.AddDate(1, 0, 0), 10)
		same(s, len(due), err, 3)
		same(s, due[2], err, heads["a"])
		due, err = tx.DueSecrets(s.ctx, epoch.AddDate(1, 0, 0), 1)
		same(s, len(due), err, 1)
	})
}

// closedBox is a secret as lists show it.
func closedBox(v *secret.Version) *secret.Version {
	c := *v
	c.Value = nil
	return &c
}
