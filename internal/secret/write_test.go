package secret_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
)

var byName = cmp.Comparer(func(a, b object.Name) bool { return a == b })

func TestValuesAreKeptByteForByte(t *testing.T) {
	w := newInstallation(t)
	for _, s := range []string{
		"", " ", "x", " leading and trailing\t", "line\nends\r\n\r", "\x00nul\x00", "ä€😀\u2028", `{"json":"\u0041<&>"}`, "\xff\xfe not text",
		strings.Repeat("a", 25_600), strings.Repeat("€", 8_533),
	} {
		b := w.put("web", value(s))
		if got := string(b.Value.Reveal()); got != s {
			t.Errorf("set %.20q answers %.20q", s, got)
		}
		if got := w.read("web", ""); got != s {
			t.Errorf("set %.20q, got %.20q", s, got)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", b.Value, *b, b.Value), "leading") {
			t.Error("the value prints")
		}
	}
	w.check()
}

// Every set is a new version with nothing of the one before.
func TestSetMakesAVersion(t *testing.T) {
	w := newInstallation(t)
	from, to := epoch.Add(time.Hour), epoch.Add(2*time.Hour)
	first := w.put("Web", secret.SetParams{Value: seal.NewValue([]byte("one")), Change: secret.Change{
		ContentType: ptr("text/plain"), Enabled: ptr(false), NotBefore: &from, Expires: &to, Tags: object.Tags{"a": "b"}}})
	w.pass(time.Minute)
	second := w.put("WEB", value("one"))
	if first.Version.Version == second.Version.Version || second.Head.Current != second.Version.Version {
		t.Errorf("%+v and %+v", first, second)
	}
	want := &secret.Version{Vault: w.home.ID, Name: object.MustName("Web"), Version: first.Version.Version, ContentType: "text/plain",
		Value: first.Version.Value, Tags: object.Tags{"a": "b"},
		Attributes: object.Attributes{NotBefore: &from, Expires: &to, Created: epoch, Updated: epoch}}
	if d := cmp.Diff(want, first.Version, byName); d != "" {
		t.Errorf("first (-want +got)\n%s", d)
	}
	at := epoch.Add(time.Minute)
	want = &secret.Version{Vault: w.home.ID, Name: object.MustName("Web"), Version: second.Version.Version, Value: second.Version.Value,
		Attributes: object.Attributes{Enabled: true, Created: at, Updated: at}}
	if d := cmp.Diff(want, second.Version, byName); d != "" {
		t.Errorf("second (-want +got)\n%s", d)
	}
	stored, err := w.Get(t.Context(), w.grant(access.SecretGet, "web"), "", "")
	w.must(err)
	if d := cmp.Diff(second.Version, stored.Version, byName); d != "" {
		t.Errorf("answered and stored differ\n%s", d)
	}
	if w.dump("web") == "" || strings.Contains(w.dump("web"), fmt.Sprintf("%x", "one")) {
		t.Errorf("stored in clear, or not at all: %s", w.dump("web"))
	}
	w.check()
}

func TestBounds(t *testing.T) {
	w := newInstallation(t)
	tags := func(n, key, text int) object.Tags {
		out := object.Tags{}
		for i := range n {
			out[fmt.Sprintf("%0*d", key, i)] = strings.Repeat("ä", text)
		}
		return out
	}
	before, at, after := epoch.Add(-time.Second), epoch, epoch.Add(time.Second)
	for _, c := range []struct {
		claim  string
		length int
		change secret.Change
		field  string // "": taken
		text   string
	}{
		{"the longest value", 25_600, secret.Change{}, "", ""},
		{"one byte more", 25_601, secret.Change{}, "value", "Secret is beyond the maximum permitted length of 25600 characters."},
		{"the longest content type", 1, secret.Change{ContentType: ptr(strings.Repeat("ä", 255))}, "", ""},
		{"a longer content type", 1, secret.Change{ContentType: ptr(strings.Repeat("a", 256))}, "contentType", "at most 255 characters"},
		{"the largest tags", 1, secret.Change{Tags: tags(15, 512, 512)}, "", ""},
		{"16 tags", 1, secret.Change{Tags: tags(16, 2, 1)}, "tags", "At most 15 tags"},
		{"a longer tag name", 1, secret.Change{Tags: tags(1, 513, 1)}, "tags", "at most 512 characters"},
		{"a longer tag", 1, secret.Change{Tags: tags(1, 1, 513)}, "tags", "at most 512 characters"},
		{"exp after nbf", 1, secret.Change{NotBefore: &at, Expires: &after}, "", ""},
		{"exp at nbf", 1, secret.Change{NotBefore: &at, Expires: &at}, "attributes.exp", "must be after nbf"},
		{"exp before nbf", 1, secret.Change{NotBefore: &at, Expires: &before}, "attributes.exp", "must be after nbf"},
		{"exp in the past", 1, secret.Change{Expires: &before}, "", ""},
	} {
		p := value(strings.Repeat("s", c.length))
		p.Change = c.change
		_, set := w.try("web", p)
		_, updated := w.change("web", "", c.change)
		for what, err := range map[string]error{"set": set, "update": updated} {
			if what == "update" && c.field == "value" {
				continue
			}
			var e *fault.Error
			if c.field == "" && err == nil {
				continue
			}
			if !errors.As(err, &e) || e.Kind != fault.Invalid || e.Field != c.field || !strings.Contains(e.Msg, c.text) || strings.Contains(e.Msg, "sss") {
				t.Errorf("%s, %s: %v", c.claim, what, err)
			}
			if (e != nil && e.Reason == "SecretTooLarge") != (c.field == "value") {
				t.Errorf("%s: reason %q", c.claim, e.Reason)
			}
		}
		w.must(w.clear("web"))
	}
}

// clear makes a name free, and known with a plain version again.
func (w *installation) clear(name string) error {
	w.remove(name)
	if err := w.purge(name); err != nil {
		return err
	}
	_, err := w.try(name, value("x"))
	return err
}

func TestUpdate(t *testing.T) {
	w := newInstallation(t)
	from, to := epoch.Add(time.Hour), epoch.Add(2*time.Hour)
	first := w.put("web", secret.SetParams{Value: seal.NewValue([]byte("one")), Change: secret.Change{
		ContentType: ptr("a"), NotBefore: &from, Expires: &to, Tags: object.Tags{"a": "b"}}}).Version
	second := w.put("web", value("two")).Version
	w.pass(time.Minute)
	later := w.now()

	// Nothing said: nothing but the time of the update changes.
	got, err := w.change("WEB", first.Version, secret.Change{})
	w.must(err)
	want := *first
	want.Attributes.Updated = later
	if d := cmp.Diff(&want, got.Version, byName); d != "" || got.Value.Reveal() != nil || got.Head.Current != second.Version {
		t.Errorf("an update of nothing (-want +got)\n%s", d)
	}
	// All said, of the current version.
	got, err = w.change("web", "", secret.Change{ContentType: ptr("b"), Enabled: ptr(false), NotBefore: &from, Expires: &to, Tags: object.Tags{}})
	w.must(err)
	want = *second
	want.ContentType, want.Tags = "b", object.Tags{}
	want.Attributes = object.Attributes{NotBefore: &from, Expires: &to, Created: epoch, Updated: later}
	if d := cmp.Diff(&want, got.Version, byName); d != "" {
		t.Errorf("an update of all (-want +got)\n%s", d)
	}
	// A disabled version is enabled again; an empty content type clears it.
	_, err = w.Get(t.Context(), w.grant(access.SecretGet, "web"), "", "")
	w.refused(err, fault.Forbidden, "disabled secret")
	_, err = w.change("web", second.Version, secret.Change{Enabled: ptr(true), ContentType: ptr("")})
	w.must(err)
	b, err := w.Get(t.Context(), w.grant(access.SecretGet, "web"), "", "")
	w.must(err)
	if string(b.Value.Reveal()) != "two" || b.Version.ContentType != "" {
		t.Errorf("%+v", b.Version)
	}
	// The dates are checked as they will stand.
	past := epoch.Add(time.Hour)
	_, err = w.change("web", "", secret.Change{Expires: &past})
	w.refused(err, fault.Invalid, "attributes.exp")
	_, err = w.change("web", object.NewVersion(), secret.Change{})
	w.refused(err, fault.NotFound, "web/")
	_, err = w.change("nobody", "", secret.Change{})
	w.refused(err, fault.NotFound, "nobody was not found")
	w.check()
}

// What a certificate owns is not written here, whatever its state; a deleted name
// is taken.
func TestNamesOfCertificates(t *testing.T) {
	w := newInstallation(t)
	w.manage("live", nil, false)
	w.manage("pending", nil, true)
	w.manage("gone", w.home.Deletion(w.now()), false)
	w.put("blob", value("x"))
	blob := w.backup("blob")
	for _, name := range []string{"live", "pending", "gone"} {
		before := w.dump(name)
		for op, act := range map[string]func() error{
			"set":     func() error { _, err := w.try(name, value("x")); return err },
			"update":  func() error { _, err := w.change(name, "", secret.Change{}); return err },
			"delete":  func() error { _, err := w.Delete(t.Context(), w.grant(access.SecretDelete, name)); return err },
			"backup":  func() error { _, err := w.Backup(t.Context(), w.grant(access.SecretBackup, name)); return err },
			"recover": func() error { _, err := w.Recover(t.Context(), w.grant(access.SecretRecover, name)); return err },
			"purge":   func() error { return w.purge(name) },
		} {
			kind, text := fault.Forbidden, fmt.Sprintf("Operation %q is not allowed as this object's lifetime is managed by Key Vault.", op)
			if name == "gone" {
				switch op {
				case "set":
					kind, text = fault.Conflict, "deleted but recoverable state"
				case "update", "delete", "backup":
					kind, text = fault.NotFound, "gone was not found"
				}
			}
			w.refused(act(), kind, text)
		}
		_, err := w.GetDeleted(t.Context(), w.grant(access.SecretGetDeleted, name))
		w.refused(err, fault.NotFound, "Deleted Secret not found: "+name)
		if w.dump(name) != before {
			t.Errorf("%s was changed", name)
		}
	}
	list, more, err := w.ListDeleted(t.Context(), w.grant(access.SecretListDeleted, ""), object.Page{Limit: 25})
	if err != nil || more || len(list) != 0 {
		t.Errorf("deleted secrets of certificates are listed: %+v, %v", list, err)
	}
	w.pass(100 * 24 * time.Hour)
	w.must(w.PurgeDue(t.Context(), func(h object.Head) (func(error), error) {
		t.Errorf("%s is due", h.Name)
		return func(error) {}, nil
	}))

	// A backup does not come back onto a certificate's name either.
	w.remove("blob")
	w.must(w.purge("blob"))
	w.manage("blob", nil, false)
	_, err = w.restore(w.home, blob)
	w.refused(err, fault.Conflict, "There was a conflict restoring the secret 'blob/")
}

// A method asks for the grant of its own action: one for reading does not write.
func TestGrantsAreForOneAction(t *testing.T) {
	w := newInstallation(t)
	w.put("web", value("x"))
	b, err := w.OpenBackup(t.Context(), w.home, w.backup("web"))
	w.must(err)
	ctx, other := t.Context(), w.grant(access.CertificateGet, "web")
	page := object.Page{Limit: 1}
	for name, call := range map[string]func(){
		"set":          func() { w.Set(ctx, other, value("x")) },
		"get":          func() { w.Get(ctx, w.grant(access.SecretList, "web"), "", "") },
		"update":       func() { w.Update(ctx, w.grant(access.SecretSet, "web"), "", secret.Change{}) },
		"list":         func() { w.List(ctx, other, page) },
		"versions":     func() { w.ListVersions(ctx, other, page) },
		"delete":       func() { w.Delete(ctx, w.grant(access.SecretGet, "web")) },
		"get deleted":  func() { w.GetDeleted(ctx, w.grant(access.SecretGet, "web")) },
		"list deleted": func() { w.ListDeleted(ctx, w.grant(access.SecretList, "web"), page) },
		"recover":      func() { w.Recover(ctx, other) },
		"purge":        func() { w.Purge(ctx, w.grant(access.SecretDelete, "web")) },
		"backup":       func() { w.Service.Backup(ctx, w.grant(access.SecretGet, "web")) },
		"restore":      func() { w.Restore(ctx, w.grant(access.SecretBackup, "web"), b) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: another grant was taken", name)
				}
			}()
			call()
		}()
	}
	if _, err := w.Restore(ctx, w.grantIn(w.near, access.SecretRestore, "other"), b); err == nil {
		t.Error("a grant for another name restores")
	}
	if _, err := secret.NewService(secret.Config{}); err == nil {
		t.Error("a service of nothing")
	}
}
