package key_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/store"
)

func TestDeletedKeys(t *testing.T) {
	w := newInstallation(t)
	ctx := t.Context()
	w.made("Web", "RSA", func(p *key.CreateParams) { p.Expires = ptr(beginning.AddDate(1, 0, 0)) })
	w.must(w.setPolicy("web", rotation("P60D")))
	before := w.dump("web")
	w.pass(time.Hour)
	b := w.remove("web")
	if d := b.Head.Deletion; d == nil || d.At != beginning.Add(time.Hour) || d.PurgeAt != d.At.AddDate(0, 0, 90) || b.Version.Attributes.Updated != beginning {
		t.Errorf("%+v %+v", b.Head, b.Version)
	}
	w.check()

	// Reading, using and changing it is as if it were not there.
	_, err := w.service.Get(ctx, w.grant(access.KeyGet, "web"), "")
	w.refused(err, fault.NotFound, "", "A key with (name/id) web was not found")
	_, err = w.service.Get(ctx, w.grant(access.KeyGet, "web"), b.Version.Version)
	w.refused(err, fault.NotFound, "", "web/"+string(b.Version.Version))
	_, err = w.use("web", key.Sign, "RS256", random(32), nil)
	w.refused(err, fault.NotFound, "", "")
	_, err = w.update("web", "", key.Given{})
	w.refused(err, fault.NotFound, "", "")
	_, err = w.service.Delete(ctx, w.grant(access.KeyDelete, "web"))
	w.refused(err, fault.NotFound, "", "")
	_, err = w.service.Backup(ctx, w.grant(access.KeyBackup, "web"))
	w.refused(err, fault.NotFound, "", "")
	_, err = w.service.Rotate(ctx, w.grant(access.KeyRotate, "web"))
	w.refused(err, fault.NotFound, "", "")
	_, _, err = w.service.RotationPolicy(ctx, w.grant(access.KeyRotationPolicyGet, "web"))
	w.refused(err, fault.NotFound, "", "")
	w.refused(w.setPolicy("web", rotation("P60D")), fault.NotFound, "", "")
	if vs, _, _, err := w.service.ListVersions(ctx, w.grant(access.KeyListVersions, "web"), object.Page{Limit: 9}); err != nil || len(vs) != 0 {
		t.Errorf("%d versions, %v", len(vs), err)
	}
	if list, _, err := w.service.List(ctx, w.grant(access.KeyList, ""), object.Page{Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("%d keys, %v", len(list), err)
	}
	// What would make it is told why not, before a key is made for nothing.
	pairs := w.pairs.Load()
	_, err = w.create("WEB", key.CreateParams{Type: "EC"})
	w.refused(err, fault.Conflict, fault.ObjectIsDeletedButRecoverable, "Key WEB is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.")
	_, err = w.importing("web", imported(rsaKeys()[0]))
	w.refused(err, fault.Conflict, fault.ObjectIsDeletedButRecoverable, "")
	if w.pairs.Load() != pairs {
		t.Error("a key was made for a name that is taken")
	}
	// It is shown among the deleted.
	list, more, err := w.service.ListDeleted(ctx, w.grant(access.KeyListDeleted, ""), object.Page{Limit: 1})
	if err != nil || more || len(list) != 1 || list[0].Head.Name.String() != "Web" || list[0].Head.Deletion == nil {
		t.Errorf("%+v %v %v", list, more, err)
	}
	if got, err := w.service.GetDeleted(ctx, w.grant(access.KeyGetDeleted, "web")); err != nil || got.Version.Version != b.Version.Version {
		t.Errorf("%+v, %v", got, err)
	}
	// It comes back as it was, with its timers.
	got, err := w.service.Recover(ctx, w.grant(access.KeyRecover, "web"))
	if err != nil || got.Head.Deletion != nil || w.dump("web") != before {
		t.Errorf("%+v, %v\n%s\n%s", got, err, w.dump("web"), before)
	}
	w.check()
	_, err = w.service.Recover(ctx, w.grant(access.KeyRecover, "web"))
	w.refused(err, fault.NotFound, "", "A key with (name/id) web was not found")
	_, err = w.service.GetDeleted(ctx, w.grant(access.KeyGetDeleted, "web"))
	w.refused(err, fault.NotFound, "", "Deleted Key not found: web")
	w.refused(w.purge("web"), fault.NotFound, "", "Deleted Key not found: web")

	w.remove("web")
	w.must(w.purge("web"))
	if w.dump("web") != "" {
		t.Errorf("left: %s", w.dump("web"))
	}
	w.refused(w.purge("web"), fault.NotFound, "", "Deleted Key not found: web")
	w.made("wEb", "EC") // the name is free, in another spelling
	if b := w.get("web"); b.Head.Name.String() != "wEb" || b.Version.Spec.Algorithm != pki.EC {
		t.Errorf("%+v", b)
	}
	w.check()
}

func TestPurgeIsHeldBackAndDone(t *testing.T) {
	w := newInstallation(t)
	ctx := t.Context()
	for _, v := range []struct {
		grantOf func(access.Action) access.Grant
	}{{func(a access.Action) access.Grant { return w.grantIn(w.protected, a, "web") }}, {func(a access.Action) access.Grant { return w.grant(a, "web") }}} {
		if _, err := w.service.Create(ctx, v.grantOf(access.KeyCreate), key.CreateParams{Type: "EC"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.Delete(ctx, v.grantOf(access.KeyDelete)); err != nil {
			t.Fatal(err)
		}
	}
	err := w.service.Purge(ctx, w.grantIn(w.protected, access.KeyPurge, "web"))
	w.refused(err, fault.Forbidden, "", `Operation "purge" is not allowed because purge protection is enabled for this vault.`)

	var purged []string
	due := func() {
		t.Helper()
		purged = nil
		w.must(w.service.PurgeDue(ctx, func(h object.Head) (func(error), error) {
			return func(err error) {
				w.must(err)
				purged = append(purged, string(h.Vault))
			}, nil
		}))
	}
	w.pass(7*24*time.Hour - time.Second)
	if due(); len(purged) != 0 {
		t.Errorf("too early: %v", purged)
	}
	w.pass(time.Second)
	if due(); len(purged) != 1 || purged[0] != string(w.protected.ID) {
		t.Errorf("after 7 days: %v", purged)
	}
	w.pass(83 * 24 * time.Hour)
	// What cannot be recorded stays; what is recovered at the last moment too.
	if err := w.service.PurgeDue(ctx, func(object.Head) (func(error), error) { return nil, errUnrecorded }); !errors.Is(err, errUnrecorded) || w.dump("web") == "" {
		t.Errorf("without a record: %v", err)
	}
	w.must(w.service.PurgeDue(ctx, func(object.Head) (func(error), error) {
		_, err := w.service.Recover(ctx, w.grant(access.KeyRecover, "web"))
		return func(err error) {
			if !errors.As(err, new(access.NotNeeded)) {
				t.Errorf("of a key that was recovered the record says %v", err)
			}
		}, err
	}))
	w.get("web")
	w.remove("web")
	w.pass(90 * 24 * time.Hour)
	if due(); len(purged) != 1 || purged[0] != string(w.home.ID) || w.dump("web") != "" {
		t.Errorf("after 90 days: %v", purged)
	}
	if due(); len(purged) != 0 {
		t.Errorf("again: %v", purged)
	}
}

func TestPurgeDueTakesBatches(t *testing.T) {
	w := newInstallation(t)
	const n = 120
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
		for i := range n {
			name := object.MustName("key-" + strings.Repeat("x", i))
			h := object.Head{Vault: w.home.ID, Name: name, Deletion: &object.Deletion{At: beginning, PurgeAt: beginning}}
			if err := tx.InsertKey(t.Context(), h); err != nil {
				return err
			}
		}
		return nil
	}))
	count := 0
	w.must(w.service.PurgeDue(t.Context(), func(object.Head) (func(error), error) {
		count++
		return w.must, nil
	}))
	if count != n {
		t.Errorf("%d purged", count)
	}
}

// managedKey stores a key as a certificate has it.
func (w *installation) managedKey(name string, d *object.Deletion) {
	w.Helper()
	k, err := pki.Generate(p521)
	w.must(err)
	der, err := pki.MarshalPKCS8(k)
	w.must(err)
	public, err := pki.MarshalPublic(k.Public())
	w.must(err)
	n := object.MustName(name)
	box, err := w.sealer.Seal(w.Context(), key.PrivatePlace(w.home.ID, n, id(1)), seal.NewValue(der))
	w.must(err)
	w.must(w.db.Update(w.Context(), func(tx *store.Tx) error {
		h := object.Head{Vault: w.home.ID, Name: n, Managed: true}
		if err := tx.InsertKey(w.Context(), h); err != nil {
			return err
		}
		h.Current, h.Deletion = id(1), d
		v := &key.Version{Vault: h.Vault, Name: n, Version: id(1), Spec: p521, Public: public, Private: seal.Box(box),
			Ops: []key.Op{key.Sign, key.Verify}, Attributes: object.Attributes{Enabled: true, Created: beginning, Updated: beginning}}
		if err := tx.InsertKeyVersion(w.Context(), v); err != nil {
			return err
		}
		return tx.UpdateKeyHead(w.Context(), h)
	}))
}

// The key of a certificate is used here and changed with its certificate only
// (contract keys.md, 6; certificates.md, 7.2).
func TestManagedKeysAreUsedAndNotChanged(t *testing.T) {
	w := newInstallation(t)
	ctx := t.Context()
	w.managedKey("cert", nil)
	w.managedKey("gone", &object.Deletion{At: beginning, PurgeAt: beginning.AddDate(0, 0, 90)})
	before := w.dump("cert") + w.dump("gone")
	attempts := map[string]func(name string) error{
		"create": func(n string) error { _, err := w.create(n, key.CreateParams{Type: "EC"}); return err },
		"import": func(n string) error { _, err := w.importing(n, imported(rsaKeys()[0])); return err },
		"update": func(n string) error { _, err := w.update(n, "", key.Given{}); return err },
		"delete": func(n string) error { _, err := w.service.Delete(ctx, w.grant(access.KeyDelete, n)); return err },
		"backup": func(n string) error { _, err := w.service.Backup(ctx, w.grant(access.KeyBackup, n)); return err },
		"rotate": func(n string) error { _, err := w.service.Rotate(ctx, w.grant(access.KeyRotate, n)); return err },
		"setrotationpolicy": func(n string) error {
			return w.setPolicy(n, rotation("P60D"))
		},
		"recover": func(n string) error { _, err := w.service.Recover(ctx, w.grant(access.KeyRecover, n)); return err },
		"purge":   func(n string) error { return w.purge(n) },
	}
	for op, attempt := range attempts {
		w.refused(attempt("cert"), fault.Forbidden, fault.KeyManagedByKeyVault, `Operation "`+op+`" is not allowed as this object's lifetime is managed by Key Vault.`)
		switch err := attempt("gone"); op {
		case "create", "import":
			w.refused(err, fault.Conflict, fault.ObjectIsDeletedButRecoverable, "deleted but recoverable state")
		case "recover", "purge":
			w.refused(err, fault.Forbidden, fault.KeyManagedByKeyVault, "")
		default:
			w.refused(err, fault.NotFound, "", "")
		}
	}
	digest := random(64)
	signature, err := w.use("cert", key.Sign, "ES512", digest, nil)
	w.must(err)
	if valid, err := w.use("cert", key.Verify, "ES512", digest, signature); err != nil || valid == nil {
		t.Errorf("%q, %v", valid, err)
	}
	if p, h, err := w.service.RotationPolicy(ctx, w.grant(access.KeyRotationPolicyGet, "cert")); err != nil || !h.Managed || p.NotifyBeforeExpiry.String() != "P30D" {
		t.Errorf("%+v, %v", p, err)
	}
	// Deleted with its certificate, it is nowhere to be seen.
	_, err = w.service.GetDeleted(ctx, w.grant(access.KeyGetDeleted, "gone"))
	w.refused(err, fault.NotFound, "", "Deleted Key not found: gone")
	if list, _, err := w.service.ListDeleted(ctx, w.grant(access.KeyListDeleted, ""), object.Page{Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("%d, %v", len(list), err)
	}
	w.pass(200 * 24 * time.Hour)
	w.must(w.service.PurgeDue(ctx, func(h object.Head) (func(error), error) { return nil, fmt.Errorf("purging %s", h.Name) }))
	if w.dump("cert")+w.dump("gone") != before {
		t.Error("something changed")
	}
}

func TestBackupComesBackWhole(t *testing.T) {
	w := newInstallation(t)
	ctx := t.Context()
	w.made("Web", "RSA", func(p *key.CreateParams) {
		p.Tags, p.Enabled = object.Tags{"a": "b"}, ptr(false)
	})
	w.pass(time.Hour)
	second := w.made("web", "EC", func(p *key.CreateParams) { p.Expires = ptr(beginning.AddDate(1, 0, 0)) }).Version
	p := rotation("P60D")
	p.Expiry = ptr("P90D")
	w.must(w.setPolicy("web", p))
	digest := random(32)
	signature, err := w.use("web", key.Sign, "ES256", digest, nil)
	w.must(err)
	blob := w.backup("web")
	before := w.dump("web")

	_, err = w.restore(w.home, blob)
	w.refused(err, fault.Conflict, "", "There was a conflict restoring the key 'Web/"+string(second.Version)+"'.")
	w.remove("web")
	_, err = w.restore(w.home, blob)
	w.refused(err, fault.Conflict, "", "There was a conflict restoring the key")
	w.must(w.purge("web"))
	w.pass(time.Hour)
	b, err := w.restore(w.home, blob)
	if err != nil || b.Version.Version != second.Version || b.Head.Name.String() != "Web" {
		t.Fatalf("%+v, %v", b, err)
	}
	// The boxes are other ones, all else is as it was.
	box := func(s string) string {
		var out []string
		for line := range strings.SplitSeq(s, "\n") {
			f := strings.Fields(line)
			if len(f) > 2 && f[0] == "key" {
				f[2] = ""
			}
			out = append(out, strings.Join(f, " "))
		}
		return strings.Join(out, "\n")
	}
	if got := w.dump("web"); box(got) != box(before) {
		t.Errorf("got\n%s\nwant\n%s", box(got), box(before))
	}
	w.check()
	if valid, err := w.use("web", key.Verify, "ES256", digest, signature); err != nil || valid == nil {
		t.Errorf("%q, %v", valid, err)
	}
	if _, err := w.use("web", key.Sign, "ES256", digest, nil); err != nil {
		t.Error(err)
	}
	// It opens in vaults of the tenant and nowhere else.
	if _, err := w.restore(w.near, blob); err != nil {
		t.Error(err)
	}
	for claim, value := range map[string]string{"far": blob, "cut": blob[:len(blob)-4], "changed": blob[:200] + "A" + blob[201:], "of a secret": "Q29mZmVyU2VjcmV0QmFja3VwVjEK" + blob[40:], "short": "AAAA"} {
		v := w.home
		if claim == "far" {
			v = w.far
		}
		_, err := w.restore(v, value)
		if claim == "changed" && blob[200] == 'A' {
			continue
		}
		w.refused(err, fault.Invalid, fault.MalformedBackup, "Backup blob is corrupt.")
	}
	opened, err := w.service.OpenBackup(ctx, w.home, blob)
	w.must(err)
	w.remove("web")
	w.must(w.purge("web"))
	if _, err := w.service.Restore(ctx, w.grant(access.KeyRestore, "other"), opened); err == nil || w.dump("web") != "" {
		t.Errorf("restored with the grant of another name: %v", err)
	}
}

func TestVaultsDoNotSeeOneAnother(t *testing.T) {
	w := newInstallation(t)
	b := w.made("web", "EC").Version
	for name, err := range map[string]error{
		"get": func() error {
			_, err := w.service.Get(t.Context(), w.grantIn(w.near, access.KeyGet, "web"), b.Version)
			return err
		}(),
		"sign": func() error {
			_, err := w.useWith(w.grantIn(w.near, access.KeySign, "web"), b.Version, key.Sign, "ES256", random(32), nil)
			return err
		}(),
		"delete": func() error {
			_, err := w.service.Delete(t.Context(), w.grantIn(w.near, access.KeyDelete, "web"))
			return err
		}(),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, _, err := w.service.List(t.Context(), w.grantIn(w.near, access.KeyList, ""), object.Page{Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("%d, %v", len(list), err)
	}
}
