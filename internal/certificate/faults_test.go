package certificate_test

import (
	"errors"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// Every write of every operation is failed twice, once as if it did nothing and
// once as if it happened all the same. After each failure the vault is whole,
// all of the operation is there or nothing of it, and the caller can repeat it.
func TestFailedWritesLeaveAllOrNothing(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	material := newPair(t, root)
	w.setIssuer("corp", "none", true)
	var job jobs.Job
	var blob string
	all := storetest.Env{
		Inject: func(f *storetest.Fault) { w.fault.Store(f) }, Least: 3, Dump: w.dump, Check: w.check,
		Clean: func(n string) {
			w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
				object := object.MustName(n)
				if op, err := tx.Operation(t.Context(), w.home.ID, object); err == nil {
					if err := tx.DeleteJobs(t.Context(), certificate.IssueJob, w.home.ID, op.RequestID); err != nil {
						return err
					}
				}
				return errors.Join(tx.PurgeCertificate(t.Context(), w.home.ID, object),
					tx.PurgeKey(t.Context(), w.home.ID, object), tx.PurgeSecret(t.Context(), w.home.ID, object))
			}))
			w.pass(time.Hour) // a failed repetition may have put a job off
		},
	}
	for _, s := range []struct { // a storetest.Operation, without its names
		Name    string
		Prepare func(n string)
		Act     func(n string) error
		Done    func(n string) bool
		Again   func(err error) bool
	}{
		{"create", func(string) {},
			func(n string) error {
				_, err := w.create(n, certificate.CreateParams{Policy: selfPolicy()})
				return err
			},
			func(n string) bool { return w.operation(n).Status == issuance.InProgress },
			is(fault.Conflict)},
		{"create anew", func(n string) { w.issued(n, selfPolicy()) },
			func(n string) error {
				_, err := w.create(n, certificate.CreateParams{Policy: selfPolicy()})
				return err
			},
			func(n string) bool { return w.operation(n).Status == issuance.InProgress && w.get(n).Version.Completed },
			is(fault.Conflict)},
		{"create over a placeholder", func(n string) { w.begin(n, policyOf("corp")); w.must(w.work()) },
			func(n string) error {
				_, err := w.create(n, certificate.CreateParams{Policy: selfPolicy()})
				return err
			},
			func(n string) bool { return w.operation(n).Status == issuance.InProgress },
			is(fault.Conflict)},
		{"issue", func(n string) { w.begin(n, selfPolicy()); job = w.claim()[0] },
			func(string) error { return w.service.Issue(t.Context(), job) },
			func(n string) bool { return w.get(n).Version.Completed && w.operation(n).Status == issuance.Completed },
			func(err error) bool { return errors.Is(err, object.ErrChanged) }},
		{"fail", func(n string) { w.begin(n, policyOf("corp")); job = w.claim()[0] },
			func(string) error { return w.service.Issue(t.Context(), job) },
			func(n string) bool { return w.operation(n).Status == issuance.Failed },
			func(err error) bool { return errors.Is(err, object.ErrChanged) }},
		{"import", func(string) {},
			func(n string) error {
				_, err := w.importing(n, certificate.ImportParams{Value: hidden(material.pem)})
				return err
			},
			func(n string) bool { return w.get(n).Version.Completed }, nil},
		{"import anew", func(n string) { w.issued(n, selfPolicy()) },
			func(n string) error {
				_, err := w.importing(n, certificate.ImportParams{Value: hidden(material.pem)})
				return err
			},
			func(n string) bool { return w.get(n).Certificate.Policy.Issuer.Name == "Unknown" }, nil},
		{"merge", func(n string) { w.begin(n, policyOf("Unknown")) },
			func(n string) error {
				op, err := w.service.Operation(t.Context(), w.grant(access.CertificatePendingGet, n), "")
				if err != nil {
					return err
				}
				_, err = w.merge(n, certificate.MergeParams{X5C: x5c(root.certify(t, op.CSR), root.cert)})
				return err
			},
			func(n string) bool { return w.get(n).Version.Completed && w.operation(n).Status == issuance.Completed },
			is(fault.Forbidden)},
		{"update", func(n string) { w.issued(n, selfPolicy()) },
			func(n string) error {
				_, err := w.update(n, "", certificate.UpdateParams{Enabled: ptr(false), Tags: object.Tags{"a": "b"},
					Policy: &issuance.Patch{Actions: []issuance.ActionPatch{}}})
				return err
			},
			func(n string) bool {
				b := w.get(n)
				return !b.Version.Attributes.Enabled && b.Version.NextAction.IsZero()
			}, nil},
		{"delete", func(n string) { w.begin(n, selfPolicy()) },
			func(n string) error {
				_, err := w.service.Delete(t.Context(), w.grant(access.CertificateDelete, n))
				return err
			},
			func(n string) bool {
				_, err := w.service.GetDeleted(t.Context(), w.grant(access.CertificateGetDeleted, n))
				return err == nil
			},
			is(fault.NotFound)},
		{"recover", func(n string) { w.issued(n, selfPolicy()); w.remove(n) },
			func(n string) error {
				_, err := w.service.Recover(t.Context(), w.grant(access.CertificateRecover, n))
				return err
			},
			func(n string) bool { return w.get(n).Version.Completed },
			is(fault.NotFound)},
		{"purge", func(n string) { w.begin(n, policyOf("Unknown")); w.remove(n) },
			w.purge,
			func(n string) bool { return w.dump(n) == "" },
			is(fault.NotFound)},
		{"restore", func(n string) {
			w.issued(n, selfPolicy())
			w.issued(n, nil)
			blob = w.backup(n)
			w.remove(n)
			w.must(w.purge(n))
		},
			func(string) error { _, err := w.restore(w.home, blob); return err },
			func(n string) bool { return w.get(n).Version.Completed },
			is(fault.Conflict)},
		{"delete the operation", func(n string) { w.begin(n, selfPolicy()) },
			func(n string) error { _, err := w.deleteOperation(n); return err },
			func(n string) bool { return !w.get(n).Certificate.Pending },
			is(fault.NotFound)},
	} {
		t.Run(s.Name, func(t *testing.T) {
			all.FailWrites(t, storetest.Operation(s))
		})
	}
}

func is(k fault.Kind) func(error) bool { return func(err error) bool { return fault.Is(err, k) } }
