package key_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/object"
)

// action is one lifetime action: "Rotate after P30D", "Notify before P7D".
func action(text string) (a key.ActionParams) {
	f := strings.Fields(text)
	a.Type = f[0]
	for i := 1; i+1 < len(f); i += 2 {
		if f[i] == "after" {
			a.AfterCreate = &f[i+1]
		} else {
			a.BeforeExpiry = &f[i+1]
		}
	}
	return a
}

// The table of contract keys.md, 9.9.
func TestRotationPolicies(t *testing.T) {
	for _, c := range []struct {
		expiry  string // "": absent
		actions []string
		want    string // what the error names; "": none
	}{
		{"", nil, ""},
		{"P30D", []string{"Rotate after P15D", "Notify before P7D"}, ""},
		{"P30D", []string{"notify before P7D", "ROTATE before P7D"}, ""},
		{"", []string{"Rotate after P7D"}, ""},
		{"", []string{"Notify before P1Y"}, ""},
		{"P28D", []string{"Rotate after P21D"}, ""},
		{"P2M", []string{"Rotate before P53D", "Notify before P99D"}, ""},
		{"P27D", nil, "attributes.expiryTime"},
		{"P27DT23H59M59S", nil, "attributes.expiryTime"},
		{"soon", nil, "attributes.expiryTime"},
		{"P28D", []string{"Rotate after P22D"}, "lifetimeActions[0].trigger.timeAfterCreate"},
		{"P2M", []string{"Notify before P7D", "Rotate before P54D"}, "lifetimeActions[1].trigger.timeBeforeExpiry"},
		{"", []string{"Rotate before P30D"}, "lifetimeActions[0].trigger.timeBeforeExpiry"},
		{"", []string{"Rotate after P6D"}, "lifetimeActions[0].trigger.timeAfterCreate"},
		{"", []string{"Notify before PT167H"}, "lifetimeActions[0].trigger.timeBeforeExpiry"},
		{"", []string{"Notify after P7D"}, "lifetimeActions[0].trigger.timeAfterCreate"},
		{"", []string{"Rotate"}, "lifetimeActions[0].trigger"},
		{"P90D", []string{"Rotate after P7D before P7D"}, "lifetimeActions[0].trigger"},
		{"", []string{"Rotate after P1X"}, "lifetimeActions[0].trigger.timeAfterCreate"},
		{"", []string{"Destroy after P7D"}, "lifetimeActions[0].action.type"},
		{"", []string{"Rotate after P7D", "Rotate after P8D"}, "lifetimeActions"},
		{"", []string{"Notify before P7D", "Notify before P8D"}, "lifetimeActions"},
		{"", []string{"Rotate after P7D", "Notify before P8D", "Notify before P8D"}, "lifetimeActions"},
	} {
		p := key.PolicyParams{}
		if c.expiry != "" {
			p.Expiry = &c.expiry
		}
		for _, a := range c.actions {
			p.Actions = append(p.Actions, action(a))
		}
		got, err := key.NewRotationPolicy(p, beginning)
		var e *fault.Error
		if c.want == "" {
			if err != nil || got.NotifyBeforeExpiry.IsZero() || got.ExpiryTime.String() != c.expiry {
				t.Errorf("%q %q: %+v, %v", c.expiry, c.actions, got, err)
			}
		} else if !errors.As(err, &e) || e.Kind != fault.Invalid || e.Field != c.want || !strings.HasPrefix(e.Msg, "Property "+c.want+" has invalid value. ") {
			t.Errorf("%q %q: %v, want %s", c.expiry, c.actions, err, c.want)
		}
	}
}

func TestPolicyIsReplacedAndKeepsItsCreationTime(t *testing.T) {
	w := newInstallation(t)
	w.made("web", "EC")
	get := func() *key.RotationPolicy {
		t.Helper()
		p, h, err := w.service.RotationPolicy(t.Context(), w.grant(access.KeyRotationPolicyGet, "WEB"))
		if err != nil || h.Name.String() != "web" {
			t.Fatalf("%+v, %v", h, err)
		}
		return p
	}
	if p := get(); !p.Created.IsZero() || p.NotifyBeforeExpiry.String() != "P30D" || !p.RotateAfterCreate.IsZero() || !p.ExpiryTime.IsZero() {
		t.Errorf("the default is %+v", p)
	}
	w.must(w.setPolicy("web", key.PolicyParams{Expiry: ptr("P90D"), Actions: []key.ActionParams{action("Rotate before P10D"), action("Notify before P8D")}}))
	w.pass(time.Hour)
	w.must(w.setPolicy("web", rotation("P2M")))
	if p := get(); p.RotateAfterCreate.String() != "P2M" || !p.RotateBeforeExpiry.IsZero() || p.NotifyBeforeExpiry.String() != "P30D" ||
		!p.ExpiryTime.IsZero() || p.Created != beginning || p.Updated != beginning.Add(time.Hour) {
		t.Errorf("%+v", p)
	}
	if at := w.dueAt(key.RotateJob, "web"); !at.Equal(beginning.AddDate(0, 2, 0)) {
		t.Errorf("due at %v", at)
	}
	w.must(w.setPolicy("web", key.PolicyParams{}))
	if at := w.dueAt(key.RotateJob, "web"); !at.IsZero() {
		t.Errorf("without a rotation it is due at %v", at)
	}
	w.refused(w.setPolicy("nobody", key.PolicyParams{}), fault.NotFound, "", "nobody")
	_, _, err := w.service.RotationPolicy(t.Context(), w.grant(access.KeyRotationPolicyGet, "nobody"))
	w.refused(err, fault.NotFound, "", "nobody")
	w.check()
}

func TestRotateCarriesOver(t *testing.T) {
	w := newInstallation(t)
	from, to := beginning.Add(-time.Hour), beginning.AddDate(1, 0, 0)
	_, err := w.importing("Web", func() key.ImportParams {
		p := imported(rsaKeys()[0])
		p.Given = key.Given{Ops: []string{"sign", "verify"}, Enabled: ptr(false), NotBefore: &from, Expires: &to, Tags: object.Tags{"a": "b"}}
		return p
	}())
	w.must(err)
	old := w.get("web").Version
	rotate := func() *key.Version {
		t.Helper()
		b, err := w.service.Rotate(t.Context(), w.grant(access.KeyRotate, "web"))
		w.must(err)
		return b.Version
	}
	w.pass(time.Hour)
	v := rotate()
	if v.Version == old.Version || v.Spec != old.Spec || !slices.Equal(v.Ops, old.Ops) || v.Tags["a"] != "b" || v.Name.String() != "Web" {
		t.Errorf("%+v", v)
	}
	if a := v.Attributes; !a.Enabled || a.NotBefore != nil || a.Expires != nil || a.Created != w.now() || a.Updated != w.now() {
		t.Errorf("%+v", a)
	}
	w.must(w.setPolicy("web", key.PolicyParams{Expiry: ptr("P30D")}))
	v = rotate()
	if a := v.Attributes; a.Expires == nil || a.Expires.Unix() != w.now().Unix()+2_592_000 {
		t.Errorf("%+v", a)
	}
	w.refused(func() error {
		_, err := w.service.Rotate(t.Context(), w.grant(access.KeyRotate, "nobody"))
		return err
	}(), fault.NotFound, "", "nobody")
	w.check()
}

// What changes while the key is being made is not lost.
func TestRotateSeesWhatHappensMeanwhile(t *testing.T) {
	w := newInstallation(t)
	rotate := func(meanwhile func()) (*key.Bundle, error) {
		w.meanwhile.Store(&meanwhile)
		return w.service.Rotate(t.Context(), w.grant(access.KeyRotate, "web"))
	}
	w.made("web", "EC")
	b, err := rotate(func() {
		_, err := w.update("web", "", key.Given{Ops: []string{"verify"}, Tags: object.Tags{"new": ""}})
		w.must(err)
	})
	if err != nil || len(b.Version.Ops) != 1 || len(b.Version.Tags) != 1 {
		t.Errorf("%+v, %v", b, err)
	}
	_, err = rotate(func() { w.made("web", "RSA") })
	w.refused(err, fault.Conflict, "", "at the same time")
	_, err = rotate(func() { w.remove("web") })
	w.refused(err, fault.NotFound, "", "web")
	w.check()
}

func TestKeysRotateWhenTheyAreDue(t *testing.T) {
	for _, c := range []struct {
		claim  string
		policy key.PolicyParams
		given  key.Given
		first  time.Time
		then   time.Duration // from one rotation to the next
	}{
		{"after its creation", rotation("P30D"), key.Given{}, beginning.AddDate(0, 0, 30), 30 * 24 * time.Hour},
		{"before its expiry", key.PolicyParams{Expiry: ptr("P90D"), Actions: []key.ActionParams{action("Rotate before P10D")}},
			key.Given{Expires: ptr(beginning.AddDate(0, 0, 25))}, beginning.AddDate(0, 0, 15), 80 * 24 * time.Hour},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := newInstallation(t)
			v := w.made("web", "EC", func(p *key.CreateParams) { p.Given = c.given }).Version
			wakes := w.wakes.Load()
			w.must(w.setPolicy("web", c.policy))
			if w.wakes.Load() == wakes {
				t.Error("nobody was woken")
			}
			due := c.first
			for range 3 {
				if at := w.dueAt(key.RotateJob, "web"); !at.Equal(due) {
					t.Fatalf("due at %v, want %v", at, due)
				}
				w.pass(due.Sub(w.now()) - time.Second)
				w.must(w.work())
				if now := w.get("web").Version; now.Version != v.Version {
					t.Fatal("rotated too early")
				}
				w.pass(time.Second)
				w.must(w.work())
				now := w.get("web").Version
				if now.Version == v.Version || now.Attributes.Created != due {
					t.Fatalf("%+v", now)
				}
				w.must(w.work()) // and only once
				if again := w.get("web").Version; again.Version != now.Version {
					t.Fatal("rotated twice")
				}
				v, due = now, due.Add(c.then)
				w.check()
			}
			if len(w.rotated) != 3 || w.rotated[2].Version.Version != v.Version {
				t.Errorf("%d rotations are on record", len(w.rotated))
			}
		})
	}
}

func TestRotationIsOfLiveKeysAndTheirLatestVersion(t *testing.T) {
	w := newInstallation(t)
	w.made("web", "EC")
	w.must(w.setPolicy("web", rotation("P30D")))
	stale := func() jobs.Job { // the job as a worker has it that was slow
		t.Helper()
		w.pass(30 * 24 * time.Hour)
		list := w.claim()
		if len(list) != 1 {
			t.Fatalf("%d jobs", len(list))
		}
		return list[0]
	}
	// A rotation by hand moves the date; the job of before does nothing.
	j := stale()
	b, err := w.service.Rotate(t.Context(), w.grant(access.KeyRotate, "web"))
	w.must(err)
	if err := w.do(j); !errors.Is(err, object.ErrChanged) {
		t.Errorf("got %v", err)
	}
	if at := w.dueAt(key.RotateJob, "web"); !at.Equal(w.now().AddDate(0, 0, 30)) || w.get("web").Version.Version != b.Version.Version {
		t.Errorf("due at %v", at)
	}
	// A deleted key waits, and is late when it comes back.
	j = stale()
	w.remove("web")
	if err := w.do(j); !errors.Is(err, object.ErrChanged) {
		t.Errorf("got %v", err)
	}
	if at := w.dueAt(key.RotateJob, "web"); !at.IsZero() {
		t.Errorf("a deleted key is due at %v", at)
	}
	w.pass(24 * time.Hour)
	_, err = w.service.Recover(t.Context(), w.grant(access.KeyRecover, "web"))
	w.must(err)
	w.must(w.work())
	if v := w.get("web").Version; v.Version == b.Version.Version || v.Attributes.Created != w.now() {
		t.Errorf("%+v", v)
	}
	// A disabled key rotates too: the new version is enabled (contract keys.md, 5.1).
	_, err = w.update("web", "", key.Given{Enabled: ptr(false)})
	w.must(err)
	w.pass(30 * 24 * time.Hour)
	w.must(w.work())
	if v := w.get("web").Version; !v.Attributes.Enabled || v.Attributes.Created != w.now() {
		t.Errorf("%+v", v)
	}
	w.check()
}

// The state is looked at again when the key is ready, in the transaction that
// completes the job.
func TestDueRotationLosesToWhatHappensMeanwhile(t *testing.T) {
	w := newInstallation(t)
	w.made("web", "EC")
	w.must(w.setPolicy("web", rotation("P30D")))
	w.pass(30 * 24 * time.Hour)
	j := w.claim()[0]
	meanwhile := func() { w.remove("web") }
	w.meanwhile.Store(&meanwhile)
	if err := w.do(j); !errors.Is(err, object.ErrChanged) {
		t.Errorf("got %v", err)
	}
	w.check()
	if len(w.rotated) != 0 {
		t.Error("a rotation is on record")
	}
	// Without anybody to make keys it is tried again.
	_, err := w.service.Recover(t.Context(), w.grant(access.KeyRecover, "web"))
	w.must(err)
	j = w.claim()[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.service.RotateDue(ctx, j); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// So it is when it cannot be recorded, which comes first.
	before := w.dump("web")
	w.unrecorded.Store(true)
	if err := w.do(j); !errors.Is(err, errUnrecorded) || w.dump("web") != before {
		t.Errorf("got %v", err)
	}
	w.unrecorded.Store(false)
	w.must(w.do(j))
	if len(w.rotated) != 1 {
		t.Errorf("%d rotations", len(w.rotated))
	}
}

func TestExpiryIsAnnouncedOnce(t *testing.T) {
	w := newInstallation(t)
	const text = "a key is about to expire"
	expires := beginning.AddDate(0, 0, 100)
	v := w.made("Web", "EC", func(p *key.CreateParams) { p.Expires = &expires }).Version
	w.made("forever", "EC")
	w.made("over", "EC", func(p *key.CreateParams) { p.Expires = ptr(beginning.Add(-time.Hour)) })
	count := func() int {
		t.Helper()
		w.must(w.work())
		return bytes.Count(w.log.Bytes(), []byte(text))
	}
	w.pass(70*24*time.Hour - time.Second)
	if n := count(); n != 0 {
		t.Fatalf("%d notices too early", n)
	}
	w.pass(time.Second)
	if n := count(); n != 1 || !strings.Contains(w.log.String(), "name=Web version="+string(v.Version)) {
		t.Fatalf("%d notices: %s", n, &w.log)
	}
	w.pass(24 * time.Hour)
	if n := count(); n != 1 {
		t.Fatalf("%d notices", n)
	}
	// A new date, or a policy, is a new notice.
	_, err := w.update("web", "", key.Given{Expires: ptr(expires.AddDate(0, 0, 100))})
	w.must(err)
	w.must(w.setPolicy("web", key.PolicyParams{Actions: []key.ActionParams{action("Notify before P8D")}}))
	if at := w.dueAt(key.NoticeJob, "web"); !at.Equal(expires.AddDate(0, 0, 92)) {
		t.Errorf("due at %v", at)
	}
	w.pass(expires.AddDate(0, 0, 92).Sub(w.now()))
	if n := count(); n != 2 {
		t.Fatalf("%d notices", n)
	}
	w.check()
}
