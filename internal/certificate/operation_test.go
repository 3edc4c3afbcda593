package certificate_test

import (
	"errors"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/store"
)

func (w *installation) setIssuer(name, provider string, enabled bool) {
	w.Helper()
	_, err := w.service.SetIssuer(w.Context(), w.grant(access.CertificateIssuerSet, ""), object.MustName(name),
		certificate.IssuerParams{Provider: &provider, Enabled: &enabled})
	w.must(err)
}

func (w *installation) deliver(f issuerFunc) { w.issuer.Store(&f) }

func (w *installation) deleteOperation(name string) (*issuance.Operation, error) {
	return w.service.DeleteOperation(w.Context(), w.grant(access.CertificatePendingDelete, name), "")
}

func TestCancelledBeforeTheWorker(t *testing.T) {
	w := newInstallation(t)
	w.begin("web", selfPolicy())
	op, err := w.cancel("web", true)
	if err != nil || !op.CancellationRequested || op.Status != issuance.InProgress {
		t.Errorf("the answer is %+v, %v", op, err)
	}
	w.must(w.work())
	if op := w.operation("web"); op.Status != issuance.Cancelled || !op.CancellationRequested || op.Error != nil {
		t.Errorf("operation %+v", op)
	}
	if b := w.get("web"); b.Version.Completed || b.Version.Attributes.Enabled {
		t.Errorf("version %+v", b.Version)
	}
	w.check()
	// The name can be used again, with a new placeholder.
	stand := w.get("web").Version.Version
	w.begin("web", selfPolicy())
	if w.get("web").Version.Version == stand {
		t.Error("the placeholder was not replaced")
	}
	w.must(w.work())
	if !w.get("web").Version.Completed {
		t.Error("not completed")
	}
	w.check()
}

// A later create that is cancelled or fails leaves the current version alone.
func TestUnfinishedLaterVersionLeavesTheCurrentOne(t *testing.T) {
	w := newInstallation(t)
	w.setIssuer("corp", "Test", true)
	current := w.issued("web", selfPolicy()).Version.Version
	w.begin("web", nil)
	_, err := w.cancel("web", true)
	w.must(err)
	w.must(w.work())
	w.deliver(func(issuance.Order) (issuance.Answer, error) {
		return &issuance.OperationError{Code: issuance.RequestRejected, Message: "no"}, nil
	})
	if b := w.get("web"); b.Version.Version != current || !b.Version.Attributes.Enabled {
		t.Errorf("after the cancellation %+v", b.Version)
	}
	w.begin("web", policyOf("corp"))
	w.must(w.work())
	if op := w.operation("web"); op.Status != issuance.Failed {
		t.Errorf("operation %+v", op)
	}
	if b := w.get("web"); b.Version.Version != current || !b.Version.Attributes.Enabled {
		t.Errorf("after the failure %+v", b.Version)
	}
	w.check()
}

func TestCancellationTooLateIsNoted(t *testing.T) {
	w := newInstallation(t)
	w.setIssuer("corp", "Test", true)
	root := newAuthority(t, "root", nil)
	w.deliver(func(o issuance.Order) (issuance.Answer, error) {
		if _, err := w.cancel("web", true); err != nil { // while the issuer works
			return nil, err
		}
		return issuance.Issued{Leaf: root.certify(t, o.CSR).Raw}, nil
	})
	w.begin("web", policyOf("corp"))
	w.must(w.work())
	if op := w.operation("web"); op.Status != issuance.Completed || !op.CancellationRequested {
		t.Errorf("operation %+v", op)
	}
	w.check()
}

func TestWithdrawnCancellation(t *testing.T) {
	w := newInstallation(t)
	w.begin("web", selfPolicy())
	_, err := w.cancel("web", true)
	w.must(err)
	op, err := w.cancel("web", false)
	if err != nil || op.CancellationRequested {
		t.Errorf("%+v, %v", op, err)
	}
	w.must(w.work())
	if op := w.operation("web"); op.Status != issuance.Completed || op.CancellationRequested {
		t.Errorf("operation %+v", op)
	}
	w.check()
}

// The worker has read the cancellation, and it is withdrawn before the worker's
// write: the caller was told that the operation goes on, so it does.
func TestCancellationWithdrawnUnderTheWorker(t *testing.T) {
	reads := 0
	var w *installation
	w = newInstallation(t, func(c *certificate.Config) {
		c.DB = beforeUpdate{c.DB, func() {
			if reads++; reads == 2 { // create and cancel came before it was set
				_, err := w.service.CancelOperation(t.Context(), w.grant(access.CertificatePendingUpdate, "web"), "", false)
				w.must(err)
			}
		}}
	})
	w.begin("web", selfPolicy())
	reads = 0
	_, err := w.cancel("web", true)
	w.must(err)
	jobs := w.claim()
	if err := w.service.Issue(t.Context(), jobs[0]); err == nil || errors.Is(err, object.ErrChanged) {
		t.Errorf("got %v, want an error that is tried again soon", err)
	}
	if op := w.operation("web"); op.Status != issuance.InProgress || op.CancellationRequested {
		t.Errorf("operation %+v", op)
	}
	w.must(w.service.Issue(t.Context(), jobs[0]))
	if op := w.operation("web"); op.Status != issuance.Completed {
		t.Errorf("operation %+v", op)
	}
}

// beforeUpdate calls a function before each write.
type beforeUpdate struct {
	object.DB[certificate.Tx]
	call func()
}

func (b beforeUpdate) Update(ctx ctx, fn func(certificate.Tx) error) error {
	b.call()
	return b.DB.Update(ctx, fn)
}

// An operation with issuer Unknown waits for a merge, cancelled or not.
func TestUnknownIssuerWaits(t *testing.T) {
	w := newInstallation(t)
	w.begin("web", policyOf("unknown"))
	if n := len(w.claim()); n != 0 {
		t.Errorf("%d jobs", n)
	}
	_, err := w.cancel("web", true)
	w.must(err)
	w.pass(1000 * time.Hour)
	w.must(w.work())
	if op := w.operation("web"); op.Status != issuance.InProgress || !op.CancellationRequested {
		t.Errorf("operation %+v", op)
	}
	w.check()
}

func TestCancelNeedsAnOperationInProgress(t *testing.T) {
	w := newInstallation(t)
	_, err := w.cancel("web", true)
	w.refused(err, fault.NotFound, "Pending certificate not found: web")
	w.issued("web", selfPolicy())
	for _, requested := range []bool{true, false} {
		_, err = w.cancel("web", requested)
		w.refused(err, fault.Forbidden, "Pending status must be in progress to allow update.")
	}
}

func TestRequestIDSelectsTheOperation(t *testing.T) {
	w := newInstallation(t)
	id := w.begin("web", policyOf("Unknown")).RequestID
	ask := map[string]func(string) error{
		"get": func(id string) error {
			_, err := w.service.Operation(t.Context(), w.grant(access.CertificatePendingGet, "web"), id)
			return err
		},
		"cancel": func(id string) error {
			_, err := w.service.CancelOperation(t.Context(), w.grant(access.CertificatePendingUpdate, "web"), id, true)
			return err
		},
		"delete": func(id string) error {
			_, err := w.service.DeleteOperation(t.Context(), w.grant(access.CertificatePendingDelete, "web"), id)
			return err
		},
	}
	for _, what := range []string{"get", "cancel", "delete"} {
		w.refused(ask[what]("0123"), fault.NotFound, "Pending certificate not found: web")
		w.must(ask[what](id))
	}
	w.refused(ask["get"](""), fault.NotFound, "Pending certificate not found: web")
}

// DELETE of the operation works in every state; the certificate stays.
func TestDeleteOperationInEveryState(t *testing.T) {
	w := newInstallation(t)
	w.setIssuer("corp", "Test", false)
	for name, prepare := range map[string]func(){
		"unknown":   func() { w.begin("unknown", policyOf("Unknown")) },
		"self":      func() { w.begin("self", selfPolicy()) },
		"completed": func() { w.issued("completed", selfPolicy()) },
		"failed":    func() { w.begin("failed", policyOf("corp")); w.must(w.work()) },
		"cancelled": func() {
			w.begin("cancelled", selfPolicy())
			_, err := w.cancel("cancelled", true)
			w.must(err)
			w.must(w.work())
		},
	} {
		prepare()
		want := w.operation(name).Status
		op, err := w.deleteOperation(name)
		if err != nil || op.Status != want {
			t.Errorf("%s: %+v, %v", name, op, err)
		}
		_, err = w.deleteOperation(name)
		w.refused(err, fault.NotFound, "Pending certificate not found: "+name)
		w.must(w.work()) // nothing is left to do
		b := w.get(name)
		if b.Certificate.Pending || b.Version.Completed != (name == "completed") {
			t.Errorf("%s: %+v of %+v", name, b.Version, b.Certificate)
		}
		w.check()
		w.begin(name, policyOf("Unknown")) // and the name goes on
	}
	w.check()
}

// A worker that comes back after its operation was deleted, or replaced, changes
// nothing.
func TestStaleWorkerChangesNothing(t *testing.T) {
	w := newInstallation(t)
	w.setIssuer("corp", "Test", true)
	root := newAuthority(t, "root", nil)
	for name, meanwhile := range map[string]func(){
		"deleted":  func() { _, err := w.deleteOperation("deleted"); w.must(err) },
		"replaced": func() { _, err := w.deleteOperation("replaced"); w.must(err); w.begin("replaced", policyOf("Unknown")) },
		"removed":  func() { w.remove("removed") },
		"recovered": func() {
			w.remove("recovered")
			w.recover("recovered")
		},
		"purged": func() { w.remove("purged"); w.must(w.purge("purged")) },
		"merged": func() {
			_, err := w.deleteOperation("merged")
			w.must(err)
			op := w.begin("merged", policyOf("Unknown"))
			_, err = w.merge("merged", certificate.MergeParams{X5C: x5c(root.certify(t, op.CSR))})
			w.must(err)
		},
	} {
		var after string
		w.deliver(func(o issuance.Order) (issuance.Answer, error) {
			meanwhile()
			after = w.dump(name)
			return issuance.Issued{Leaf: root.certify(t, o.CSR).Raw}, nil
		})
		w.begin(name, policyOf("corp"))
		if err := w.work(); !errors.Is(err, object.ErrChanged) {
			t.Errorf("%s: got %v, want object.ErrChanged", name, err)
		}
		if got := w.dump(name); got != after {
			t.Errorf("%s: the stale worker changed\n%sto\n%s", name, after, got)
		}
		w.pass(time.Hour)
		if err := w.work(); err != nil && !errors.Is(err, object.ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
		w.check()
	}
}

// A job whose operation is over is removed.
func TestJobWithoutWorkIsDropped(t *testing.T) {
	w := newInstallation(t)
	w.begin("web", selfPolicy())
	job := w.claim()[0]
	w.must(w.service.Issue(t.Context(), job))
	if err := w.service.Issue(t.Context(), job); !errors.Is(err, object.ErrChanged) {
		t.Errorf("the second run: %v", err)
	}
	w.must(w.db.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Jobs(t.Context())
		if len(all) != 0 {
			t.Errorf("jobs %v", all)
		}
		return err
	}))
	if versions, _, err := w.service.ListVersions(t.Context(), w.grant(access.CertificateListVersions, "web"), object.Page{Limit: 9}); err != nil || len(versions) != 1 {
		t.Errorf("%d versions, %v", len(versions), err)
	}
	w.check()
}

func TestNamedIssuerFailures(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	unrelated := newPair(t, root)
	for _, c := range []struct {
		claim    string
		provider string
		enabled  bool
		deliver  issuerFunc
		code     string
		text     string
	}{
		{"disabled", "Test", false, nil, issuance.RequestRejected, "The issuer corp is disabled."},
		{"no driver", "DigiSomething", true, nil, issuance.IssuerError, "no driver for the provider DigiSomething"},
		{"rejected", "tEST", true, func(issuance.Order) (issuance.Answer, error) {
			return &issuance.OperationError{Code: issuance.RequestRejected, Message: "not for you"}, nil
		}, issuance.RequestRejected, "not for you"},
		{"another key", "Test", true, func(issuance.Order) (issuance.Answer, error) {
			return issuance.Issued{Leaf: unrelated.cert.Raw}, nil
		}, issuance.IssuerError, "not for the requested key"},
		{"no certificate", "Test", true, func(issuance.Order) (issuance.Answer, error) { return issuance.Issued{Leaf: []byte("x")}, nil },
			issuance.IssuerError, "not for the requested key"},
		{"an endless chain", "Test", true, func(o issuance.Order) (issuance.Answer, error) {
			out := issuance.Issued{Leaf: root.certify(t, o.CSR).Raw}
			for range 300 {
				out.Chain = append(out.Chain, newSibling(root).cert.Raw)
			}
			return out, nil
		}, issuance.IssuerError, "too long"},
	} {
		w.setIssuer("corp", c.provider, c.enabled)
		w.deliver(c.deliver)
		w.begin("web", policyOf("corp"))
		w.must(w.work())
		op := w.operation("web")
		if op.Status != issuance.Failed || op.Error == nil || op.Error.Code != c.code || !contains(op.Error.Message, c.text) {
			t.Errorf("%s: %s %+v", c.claim, op.Status, op.Error)
		}
		if b := w.get("web"); b.Version.Completed || b.Version.Attributes.Enabled {
			t.Errorf("%s: %+v", c.claim, b.Version)
		}
		w.check()
	}
	// An issuer that is gone when its turn comes.
	w.begin("web", policyOf("CORP"))
	_, err := w.service.DeleteIssuer(t.Context(), w.grant(access.CertificateIssuerDelete, ""), object.MustName("corp"))
	w.must(err)
	w.must(w.work())
	if op := w.operation("web"); op.Status != issuance.Failed || op.Error.Code != issuance.RequestRejected {
		t.Errorf("%+v", op)
	}
	w.check()
}

// An error that is not the issuer's word is tried again; the operation goes on.
func TestIssuerThatIsAwayIsAskedAgain(t *testing.T) {
	w := newInstallation(t)
	w.setIssuer("corp", "Test", true)
	w.begin("web", policyOf("corp"))
	if err := w.work(); err == nil {
		t.Fatal("no error")
	}
	if op := w.operation("web"); op.Status != issuance.InProgress {
		t.Errorf("operation %+v", op)
	}
	root := newAuthority(t, "root", nil)
	w.deliver(func(o issuance.Order) (issuance.Answer, error) {
		return issuance.Issued{Leaf: root.certify(t, o.CSR).Raw, Chain: [][]byte{root.cert.Raw}}, nil
	})
	w.pass(2 * time.Minute)
	w.must(w.work())
	b := w.get("web")
	if !b.Version.Completed || len(b.Version.Chain) != 1 || w.operation("web").Status != issuance.Completed {
		t.Errorf("version %+v", b.Version)
	}
	w.check()
}

// What a PATCH of the placeholder says holds for the version that replaces it.
func TestPatchOfThePlaceholderCounts(t *testing.T) {
	w := newInstallation(t)
	w.begin("web", selfPolicy())
	w.pass(time.Minute)
	b, err := w.service.Update(t.Context(), w.grant(access.CertificateUpdate, "web"), "", certificate.UpdateParams{Enabled: ptr(false), Tags: object.Tags{"a": "b"}})
	w.must(err)
	if b.Version.Attributes.Enabled || b.Version.Tags["a"] != "b" || !b.Version.Attributes.Updated.Equal(w.now()) || !b.Certificate.Pending {
		t.Errorf("%+v", b.Version)
	}
	w.must(w.work())
	if v := w.get("web").Version; !v.Completed || v.Attributes.Enabled || v.Tags["a"] != "b" {
		t.Errorf("%+v", v)
	}
	w.check()
}

func TestSelfDelayGivesTimeToCancel(t *testing.T) {
	w := newInstallation(t, func(c *certificate.Config) { c.SelfDelay = 5 * time.Second })
	w.begin("web", selfPolicy())
	w.pass(4 * time.Second)
	if jobs := w.claim(); len(jobs) != 0 {
		t.Error("the job is due at once")
	}
	w.pass(time.Second)
	if jobs := w.claim(); len(jobs) != 1 {
		t.Error("the job is not due")
	}
}

// TestWithoutARecordThereAreNoRules: the end of an operation would be on no record.
func TestWithoutARecordThereAreNoRules(t *testing.T) {
	newInstallation(t, func(c *certificate.Config) {
		without := *c
		without.Record = nil
		if _, err := certificate.NewService(without); err == nil {
			t.Error("a service without Record")
		}
	})
}
