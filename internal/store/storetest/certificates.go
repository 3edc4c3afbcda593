package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/store"
)

func certificates(s *suite) {
	v := s.vault("one")
	deletion := &object.Deletion{At: epoch, PurgeAt: epoch.AddDate(0, 0, 90)}
	pathLen := 0
	cty, transparent := "OV\x00", true
	full := policy()
	full.X509 = issuance.X509Props{Subject: "CN=ä\u2028<&>", SANs: &issuance.SANs{Emails: []string{}, UPNs: []string{"a@b"}},
		EKUs: []string{"1.2.3"}, KeyUsage: []string{"digitalSignature"}, ValidityMonths: 3, CA: true, PathLen: &pathLen}
	full.Actions = []issuance.LifetimeAction{{Percentage: 80, Action: issuance.AutoRenew}, {Days: 3, Action: issuance.EmailContacts}}
	full.Issuer = issuance.IssuerRef{Name: "Acme", CertificateType: &cty, Transparency: &transparent}
	full.PlatformManage = &issuance.PlatformManaged{CertificateUsage: "u", Metadata: "m"}

	c := &certificate.Certificate{Head: object.Head{Vault: v, Name: web, Current: versionID(1)}, Policy: full}
	s.update(func(tx *store.Tx) {
		_, err := tx.Certificate(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
		s.wantErr(tx.UpdateCertificate(s.ctx, c), object.ErrNotFound)
		s.must(tx.InsertCertificate(s.ctx, c))
		s.wantErr(tx.InsertCertificate(s.ctx, &certificate.Certificate{Head: object.Head{Vault: v, Name: object.MustName("wEB-1")}, Policy: full}), object.ErrExists)
	})
	s.view(func(tx *store.Tx) {
		got, err := tx.Certificate(s.ctx, v, object.MustName("WEB-1"))
		same(s, got, err, c) // in the casing of the first use
		s.spelled(tx, v, object.Certificates, "WEB-1", web.String())
		_, _, err = tx.CurrentCertificate(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound) // there is no version yet
	})

	ver := newCertificate(v, web, versionID(2))
	s.update(func(tx *store.Tx) {
		c.Head.Current, c.Head.Deletion = ver.Version, deletion
		c.Policy = policy()
		c.Policy.Actions = []issuance.LifetimeAction{}
		s.must(tx.UpdateCertificate(s.ctx, c))
		s.must(tx.InsertVersion(s.ctx, ver))
		s.must(tx.PutOperation(s.ctx, newOperation(v, web, "r")))
	})
	c.Pending = true
	s.view(func(tx *store.Tx) {
		got, gotVersion, err := tx.CurrentCertificate(s.ctx, v, web)
		same(s, got, err, c)
		same(s, gotVersion, err, ver)
		s.wantErr(second(tx.CurrentCertificate(s.ctx, v, other)), object.ErrNotFound)
	})
	s.update(func(tx *store.Tx) {
		s.must(tx.DeleteOperation(s.ctx, v, web))
		c.Head.Deletion, c.Pending = nil, false
		s.must(tx.UpdateCertificate(s.ctx, c))
		got, err := tx.Certificate(s.ctx, v, web)
		same(s, got, err, c)
		s.must(tx.PutOperation(s.ctx, newOperation(v, web, "r")))
		s.must(tx.PurgeCertificate(s.ctx, v, web))
		s.must(tx.PurgeCertificate(s.ctx, v, web))
		_, err = tx.Certificate(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
		_, err = tx.CertificateVersion(s.ctx, v, web, ver.Version)
		s.wantErr(err, object.ErrNotFound)
		_, err = tx.Operation(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
	})
}

func second[A, B any](_ A, _ B, err error) error { return err }

func versions(s *suite) {
	v := s.vault("one")
	stand := placeholder(v, web, versionID(7))
	bare := newCertificate(v, web, versionID(5)) // everything optional absent
	bare.Chain, bare.Tags, bare.NextAction, bare.PreserveOrder = nil, nil, time.Time{}, false
	bare.Attributes.NotBefore, bare.Attributes.Expires = nil, nil
	empty := newCertificate(v, web, versionID(3))
	empty.Chain, empty.Tags = [][]byte{}, object.Tags{}
	empty.Attributes.Enabled = false
	full := newCertificate(v, web, versionID(6))
	s.update(func(tx *store.Tx) {
		c := &certificate.Certificate{Head: object.Head{Vault: v, Name: web, Current: versionID(7)}, Policy: policy()}
		s.must(tx.InsertCertificate(s.ctx, c))
		for _, ver := range []*certificate.Version{stand, bare, empty, full} {
			s.must(tx.InsertVersion(s.ctx, ver))
		}
		s.wantErr(tx.InsertVersion(s.ctx, full), object.ErrExists)
		s.wantErr(tx.UpdateVersion(s.ctx, newCertificate(v, web, versionID(8))), object.ErrNotFound)
		s.must(tx.DeleteVersion(s.ctx, v, web, bare.Version)) // not a placeholder: it stays
	})
	s.view(func(tx *store.Tx) {
		for _, want := range []*certificate.Version{stand, bare, empty, full} {
			got, err := tx.CertificateVersion(s.ctx, v, object.MustName("web-1"), want.Version)
			same(s, got, err, want)
		}
		_, err := tx.CertificateVersion(s.ctx, v, web, versionID(8))
		s.wantErr(err, object.ErrNotFound)
		all, err := tx.CertificateVersions(s.ctx, v, web, object.Page{})
		same(s, all, err, []*certificate.Version{stand, bare, empty, full})
		// A page has the completed ones only, and no wide columns.
		page, err := tx.CertificateVersions(s.ctx, v, web, object.Page{Limit: 2})
		same(s, page, err, []*certificate.Version{narrow(bare), narrow(empty)})
		page, err = tx.CertificateVersions(s.ctx, v, web, object.Page{Limit: 2, After: string(empty.Version)})
		same(s, page, err, []*certificate.Version{narrow(full)})
		_, err = tx.CertificateVersions(s.ctx, v, web, object.Page{Limit: 2, After: string(versionID(8))})
		s.wantErr(err, object.ErrNotFound)
		page, err = tx.CertificateVersions(s.ctx, v, other, object.Page{Limit: 2})
		same(s, page, err, nil)
	})
	s.update(func(tx *store.Tx) {
		later := epoch.Add(time.Hour)
		bare.Attributes = object.Attributes{Expires: &later, Created: later, Updated: later}
		bare.Tags, bare.NextAction = object.Tags{"a": ""}, later
		changed := *bare
		changed.Leaf, changed.Chain, changed.Thumbprint, changed.PreserveOrder, changed.Completed = nil, nil, nil, true, false
		s.must(tx.UpdateVersion(s.ctx, &changed)) // the rest is not stored
		s.must(tx.DeleteVersion(s.ctx, v, web, stand.Version))
		s.must(tx.DeleteVersion(s.ctx, v, web, stand.Version))
		all, err := tx.CertificateVersions(s.ctx, v, web, object.Page{})
		same(s, all, err, []*certificate.Version{bare, empty, full})

		c, err := tx.Certificate(s.ctx, v, web)
		s.must(err)
		c.Head.Deletion = &object.Deletion{At: epoch, PurgeAt: epoch}
		s.must(tx.UpdateCertificate(s.ctx, c))
		page, err := tx.CertificateVersions(s.ctx, v, web, object.Page{Limit: 9})
		same(s, page, err, nil) // a deleted name shows none
		all, err = tx.CertificateVersions(s.ctx, v, web, object.Page{})
		same(s, len(all), err, 3)
	})
}

// narrow is a version as pages of versions show it.
func narrow(v *certificate.Version) *certificate.Version {
	n := *v
	n.Leaf, n.Chain = nil, nil
	return &n
}

func certificateLists(s *suite) {
	v := s.vault("one")
	deletion := &object.Deletion{At: epoch, PurgeAt: epoch.AddDate(0, 0, 90)}
	// i counts in another order than the names.
	for i, name := range []string{"c", "A", "b-2", "b-10", "d"} {
		n := object.MustName(name)
		s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { return issued(s.ctx, tx, v, n, i) }))
	}
	for i, name := range []string{"pending", "0"} {
		s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { return begin(s.ctx, tx, v, object.MustName(name), 10+i) }))
	}
	for _, name := range []string{"d", "0"} {
		s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { return remove(s.ctx, tx, v, object.MustName(name), deletion) }))
	}
	for _, c := range []struct {
		claim string
		query certificate.ListQuery
		want  []string
	}{
		{"live", certificate.ListQuery{Page: object.Page{Limit: 25}}, []string{"A", "b-10", "b-2", "c"}},
		{"live and pending", certificate.ListQuery{Page: object.Page{Limit: 25}, Pending: true}, []string{"A", "b-10", "b-2", "c", "pending"}},
		{"deleted", certificate.ListQuery{Page: object.Page{Limit: 25}, Deleted: true}, []string{"d"}},
		{"deleted and pending", certificate.ListQuery{Page: object.Page{Limit: 25}, Deleted: true, Pending: true}, []string{"0", "d"}},
		{"a page", certificate.ListQuery{Page: object.Page{Limit: 2, After: "a"}}, []string{"b-10", "b-2"}},
		{"after a name that is gone", certificate.ListQuery{Page: object.Page{Limit: 2, After: "b-11"}}, []string{"b-2", "c"}},
		{"after the last", certificate.ListQuery{Page: object.Page{Limit: 2, After: "c"}}, nil},
	} {
		s.view(func(tx *store.Tx) {
			list, err := tx.Certificates(s.ctx, v, c.query)
			s.must(err)
			var names []string
			for _, l := range list {
				names = append(names, l.Head.Name.String())
				if (l.Head.Deletion != nil) != c.query.Deleted {
					s.Errorf("%s: %s has deletion %v", c.claim, l.Head.Name, l.Head.Deletion)
				}
			}
			if d := cmp.Diff(c.want, names); d != "" {
				s.Errorf("%s (-want +got)\n%s", c.claim, d)
			}
		})
	}
	s.view(func(tx *store.Tx) {
		list, err := tx.Certificates(s.ctx, v, certificate.ListQuery{Page: object.Page{Limit: 1}})
		s.must(err)
		want := certificate.Listed{Head: object.Head{Vault: v, Name: object.MustName("A"), Current: versionID(1_000_001)},
			Version: *narrow(newCertificate(v, object.MustName("A"), versionID(1_000_001)))}
		same(s, list[0], err, want)
	})
}

// paging: names that are there from first to last are seen once each, whatever
// comes and goes between the pages.
func paging(s *suite) {
	v := s.vault("one")
	id := 0
	put := func(name string) {
		id++
		s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { return issued(s.ctx, tx, v, object.MustName(name), id) }))
	}
	for i := range 20 {
		put(fmt.Sprintf("stay-%02d", i))
		put(fmt.Sprintf("stay-%02d-go", i))
	}
	seen := map[string]int{}
	after, page := "", 0
	for {
		var list []certificate.Listed
		s.view(func(tx *store.Tx) {
			var err error
			list, err = tx.Certificates(s.ctx, v, certificate.ListQuery{Page: object.Page{Limit: 3, After: after}})
			s.must(err)
		})
		if len(list) == 0 {
			break
		}
		for _, l := range list {
			seen[l.Head.Name.Key()]++
		}
		after = list[len(list)-1].Head.Name.Key()
		put(fmt.Sprintf("new-%02d", page))
		put(fmt.Sprintf("z-%02d", page))
		for _, gone := range []string{after, fmt.Sprintf("stay-%02d-go", 19-page)} {
			if len(gone) > len("stay-00") {
				s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { return purge(s.ctx, tx, v, object.MustName(gone)) }))
			}
		}
		if page++; page > 40 {
			s.Fatal("the pages do not end")
		}
		if page > 15 { // let the list end
			break
		}
	}
	for i := range 20 {
		if n := fmt.Sprintf("stay-%02d", i); seen[n] != 1 {
			s.Errorf("%s was seen %d times", n, seen[n])
		}
	}
	for n, times := range seen {
		if times != 1 {
			s.Errorf("%s was seen %d times", n, times)
		}
	}
}

func duePurges(s *suite) {
	a, b := s.vault("one"), s.vault("two")
	for i, c := range []struct {
		v    object.VaultID
		days int // until the purge; negative: not deleted
	}{{a, 30}, {b, 10}, {a, -1}, {b, 20}, {a, 40}} {
		n := object.MustName(fmt.Sprintf("n%d", i))
		s.must(s.db.Update(s.ctx, func(tx *store.Tx) error {
			if err := issued(s.ctx, tx, c.v, n, i); err != nil || c.days < 0 {
				return err
			}
			return remove(s.ctx, tx, c.v, n, &object.Deletion{At: epoch, PurgeAt: epoch.AddDate(0, 0, c.days)})
		}))
	}
	names := func(after time.Duration, limit int) (names []string) {
		s.view(func(tx *store.Tx) {
			heads, err := tx.DuePurges(s.ctx, epoch.Add(after), limit)
			s.must(err)
			for _, h := range heads {
				if !h.Deletion.At.Equal(epoch) || h.Current == "" || h.Vault != a && h.Vault != b {
					s.Errorf("got %+v", h)
				}
				names = append(names, h.Name.String())
			}
		})
		return names
	}
	day := 24 * time.Hour
	for _, c := range []struct {
		after time.Duration
		limit int
		want  []string
	}{
		{10*day - time.Second, 9, nil},
		{10 * day, 9, []string{"n1"}},
		{35 * day, 9, []string{"n1", "n3", "n0"}},
		{35 * day, 2, []string{"n1", "n3"}},
	} {
		if got := names(c.after, c.limit); !slices.Equal(got, c.want) {
			s.Errorf("after %v, at most %d: got %v, want %v", c.after, c.limit, got, c.want)
		}
	}
}

func operations(s *suite) {
	v := s.vault("one")
	full := newOperation(v, web, "0123")
	full.CancellationRequested, full.PreserveOrder = true, true
	full.Order, full.OrderStep, full.OrderLook = Box("sealed"), 3, epoch.Add(7*time.Millisecond)
	full.Error = &issuance.OperationError{Code: issuance.IssuerError, Message: "no\x00"}
	full.Tags = object.Tags{"a": "b"}
	bare := &issuance.Operation{Vault: v, Name: web, RequestID: "4567", Status: issuance.Cancelled, Policy: policy(),
		Spec: issuance.IssuerRef{Name: "Unknown"}, Created: epoch, Updated: epoch.Add(time.Hour)}
	s.update(func(tx *store.Tx) {
		s.must(tx.InsertCertificate(s.ctx, &certificate.Certificate{Head: object.Head{Vault: v, Name: web}, Policy: policy()}))
		_, err := tx.Operation(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
		for _, op := range []*issuance.Operation{full, bare, full} {
			s.must(tx.PutOperation(s.ctx, op))
			got, err := tx.Operation(s.ctx, v, object.MustName("web-1"))
			same(s, got, err, op)
		}
		s.must(tx.DeleteOperation(s.ctx, v, web))
		s.must(tx.DeleteOperation(s.ctx, v, web))
		_, err = tx.Operation(s.ctx, v, web)
		s.wantErr(err, object.ErrNotFound)
	})
}
