package certificate_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
)

// Callers who want the same name at one time: one begins, the others are told of
// the conflict, and what each was told is true.
func TestManyCreatesOfOneName(t *testing.T) {
	w := newInstallation(t)
	for round := range 3 {
		var began atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				op, err := w.create("web", certificate.CreateParams{Policy: selfPolicy()})
				switch {
				case err == nil:
					began.Add(1)
					if now := w.operation("web"); now.RequestID != op.RequestID {
						t.Errorf("the operation is %s, not %s", now.RequestID, op.RequestID)
					}
				case !fault.Is(err, fault.Conflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if began.Load() != 1 {
			t.Errorf("round %d: %d creates succeeded", round, began.Load())
		}
		w.must(w.work())
		w.check()
	}
	versions, _, err := w.service.ListVersions(t.Context(), w.grant(access.CertificateListVersions, "web"), object.Page{Limit: 9})
	if err != nil || len(versions) != 3 {
		t.Errorf("%d versions, %v", len(versions), err)
	}
}

// Everything at once on a few names: nothing is torn, and every refusal is one
// that the state of some moment explains.
func TestEverythingAtOnce(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	material := newPair(t, root)
	ctx := t.Context()
	acts := []func(n string) error{
		func(n string) error {
			_, err := w.create(n, certificate.CreateParams{Policy: selfPolicy()})
			return err
		},
		func(n string) error {
			_, err := w.create(n, certificate.CreateParams{Policy: policyOf("Unknown")})
			return err
		},
		func(n string) error {
			b, err := w.importing(n, certificate.ImportParams{Value: hidden(material.pem)})
			if err == nil && !b.Version.Completed {
				return fmt.Errorf("imported %+v", b.Version)
			}
			return err
		},
		func(n string) error {
			_, err := w.service.Delete(ctx, w.grant(access.CertificateDelete, n))
			return err
		},
		func(n string) error {
			_, err := w.service.Recover(ctx, w.grant(access.CertificateRecover, n))
			return err
		},
		func(n string) error { return w.purge(n) },
		func(n string) error { _, err := w.cancel(n, true); return err },
		func(n string) error { _, err := w.deleteOperation(n); return err },
		func(n string) error {
			_, err := w.update(n, "", certificate.UpdateParams{Enabled: ptr(false)})
			return err
		},
		func(n string) error {
			_, err := w.service.UpdatePolicy(ctx, w.grant(access.CertificatePolicyUpdate, n), &issuance.Patch{Actions: []issuance.ActionPatch{}})
			return err
		},
		func(n string) error {
			op, err := w.service.Operation(ctx, w.grant(access.CertificatePendingGet, n), "")
			if err != nil {
				return err
			}
			_, err = w.merge(n, certificate.MergeParams{X5C: x5c(root.certify(t, op.CSR))})
			if fault.Is(err, fault.Invalid) {
				return nil // another operation took its place, and has another key
			}
			return err
		},
		func(n string) error {
			blob, err := w.service.Backup(ctx, w.grant(access.CertificateBackup, n))
			if err != nil {
				return err
			}
			_, err = w.restore(w.home, blob)
			return err
		},
		func(string) error { w.work(); return nil },
	}
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 60 {
				n := fmt.Sprint("name-", (i+worker)%2)
				act := acts[(i*7+worker*5)%len(acts)]
				if err := act(n); err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Forbidden) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.check()
}

func TestVaultsDoNotSeeOneAnother(t *testing.T) {
	w := newInstallation(t)
	ctx := t.Context()
	create := func(p *issuance.Patch) error {
		_, err := w.service.Create(ctx, w.grantIn(w.near, access.CertificateCreate, "web"), certificate.CreateParams{Policy: p})
		return err
	}
	b := w.issued("web", selfPolicy())
	w.setIssuer("corp", "Test", true)
	if _, err := w.service.Get(ctx, w.grantIn(w.near, access.CertificateGet, "web"), b.Version.Version); !fault.Is(err, fault.NotFound) {
		t.Errorf("the version is seen from next door: %v", err)
	}
	w.refused(create(policyOf("corp")), fault.NotFound, "Issuer not found")
	id := w.operation("web").RequestID
	_, err := w.service.Operation(ctx, w.grantIn(w.near, access.CertificatePendingGet, "web"), id)
	w.refused(err, fault.NotFound, "")
	w.must(create(selfPolicy()))
	w.must(w.work())
	before := w.dump("web")
	_, err = w.service.Delete(ctx, w.grantIn(w.near, access.CertificateDelete, "web"))
	w.must(err)
	w.must(w.service.Purge(ctx, w.grantIn(w.near, access.CertificatePurge, "web")))
	if w.dump("web") != before {
		t.Error("the purge next door changed something here")
	}
	for _, v := range []struct {
		grant access.Grant
		want  int
	}{{w.grant(access.CertificateList, ""), 1}, {w.grantIn(w.near, access.CertificateList, ""), 0}} {
		list, _, err := w.service.List(ctx, v.grant, certificate.ListQuery{Page: object.Page{Limit: 25}, Pending: true})
		if err != nil || len(list) != v.want {
			t.Errorf("%d, %v", len(list), err)
		}
	}
	w.check()
}

// A method asks for the grant of its own action: one for reading does not write.
func TestGrantsAreForOneAction(t *testing.T) {
	w := newInstallation(t)
	w.issued("web", selfPolicy())
	for name, call := range map[string]func(){
		"delete": func() { w.service.Delete(t.Context(), w.grant(access.CertificateGet, "web")) },
		"import": func() {
			w.service.Import(t.Context(), w.grant(access.CertificateCreate, "web"), certificate.ImportParams{})
		},
		"backup":  func() { w.service.Backup(t.Context(), w.grant(access.CertificateGet, "web")) },
		"nothing": func() { w.service.Get(t.Context(), access.Grant{}, "") },
		"secret":  func() { w.secrets.Get(t.Context(), w.grant(access.CertificateGet, "web"), "", "") },
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
}
