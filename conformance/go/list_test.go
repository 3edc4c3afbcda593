package conformance

import (
	"encoding/base64"
	"slices"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// many is one more than the largest page holds.
const many = 26

// pages reads a list to its end.
func pages[P any](t *testing.T, pager *runtime.Pager[P]) []P {
	t.Helper()
	var all []P
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		check(t, err)
		all = append(all, page)
	}
	return all
}

// listed are the certificates of the whole vault by name.
func (v *vault) listed(pending bool) map[string]*azcertificates.CertificateProperties {
	v.t.Helper()
	found := map[string]*azcertificates.CertificateProperties{}
	pager := v.NewListCertificatePropertiesPager(&azcertificates.ListCertificatePropertiesOptions{IncludePending: &pending})
	for _, page := range pages(v.t, pager) {
		for _, c := range page.Value {
			found[c.ID.Name()] = c
		}
	}
	return found
}

// deleted are the deleted certificates of the whole vault by name.
func (v *vault) deleted(pending bool) map[string]*azcertificates.DeletedCertificateProperties {
	v.t.Helper()
	found := map[string]*azcertificates.DeletedCertificateProperties{}
	pager := v.NewListDeletedCertificatePropertiesPager(&azcertificates.ListDeletedCertificatePropertiesOptions{IncludePending: &pending})
	for _, page := range pages(v.t, pager) {
		for _, c := range page.Value {
			found[c.ID.Name()] = c
		}
	}
	return found
}

func (v *vault) versions(name string) []string {
	v.t.Helper()
	var versions []string
	for _, page := range pages(v.t, v.NewListCertificatePropertiesVersionsPager(name, nil)) {
		for _, c := range page.Value {
			versions = append(versions, c.ID.Version())
		}
	}
	return versions
}

// fill imports one certificate under each of the names.
func (v *vault) fill(names []string) {
	v.t.Helper()
	for _, name := range names {
		key, chain := material(v.t, -day, 90*day)
		value := base64.StdEncoding.EncodeToString(pfx(v.t, key, chain[:1], ""))
		_, err := v.importValue(name, value, "", nil)
		check(v.t, err)
	}
}

func TestMoreThanAPageOfNames(t *testing.T) {
	t.Parallel()
	v := open(t)
	var names []string
	for range many {
		names = append(names, v.name())
	}
	v.fill(names)
	slices.Sort(names)

	var found []string
	read := pages(t, v.NewListCertificatePropertiesPager(nil))
	for i, page := range read {
		if i < len(read)-1 && len(page.Value) != 25 {
			t.Errorf("page %d of %d has %d entries", i+1, len(read), len(page.Value))
		}
		for _, c := range page.Value {
			if !slices.Contains(names, c.ID.Name()) {
				continue
			}
			found = append(found, c.ID.Name())
			if c.ID.Version() != "" || len(c.X509Thumbprint) != 20 || !*c.Attributes.Enabled {
				t.Errorf("entry %+v", c)
			}
		}
	}
	if len(read) < 2 {
		t.Errorf("%d certificates on %d page", many, len(read))
	}
	// The contract asks for ascending names (certificates.md, 2.6).
	equal(t, "names", found, names)

	managed := map[string]*azsecrets.SecretProperties{}
	for _, page := range pages(t, v.secrets.NewListSecretPropertiesPager(nil)) {
		for _, s := range page.Value {
			managed[s.ID.Name()] = s
		}
	}
	keys := map[string]bool{}
	for _, page := range pages(t, v.keys.NewListKeyPropertiesPager(nil)) {
		for _, k := range page.Value {
			keys[k.KID.Name()] = k.Managed != nil && *k.Managed
		}
	}
	for _, name := range names {
		s := managed[name]
		if s == nil || s.Managed == nil || !*s.Managed || *s.ContentType != "application/x-pkcs12" {
			t.Errorf("the secret of %s is listed as %+v", name, s)
		}
		if !keys[name] {
			t.Errorf("the key of %s is not listed as managed", name)
		}
	}

	var group sync.WaitGroup
	for _, name := range names {
		group.Go(func() {
			if _, err := v.DeleteCertificate(t.Context(), name, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	deleted := v.deleted(false)
	for _, name := range names {
		switch c := deleted[name]; {
		case c == nil:
			t.Errorf("%s is not listed as deleted", name)
		case c.RecoveryID == nil, c.Attributes.RecoveryLevel == nil, !c.ScheduledPurgeDate.After(*c.DeletedDate):
			t.Errorf("deleted entry %+v", c)
		}
	}
}

func TestMoreThanAPageOfVersions(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	v.fill(slices.Repeat([]string{name}, many))
	read := pages(t, v.NewListCertificatePropertiesVersionsPager(name, nil))
	if len(read) != 2 || len(read[0].Value) != 25 || len(read[1].Value) != 1 {
		t.Fatalf("%d pages", len(read))
	}
	versions := v.versions(name)
	slices.Sort(versions)
	if distinct := slices.Compact(versions); len(distinct) != many {
		t.Errorf("%d distinct versions of %d", len(distinct), many)
	}
	if !slices.Contains(versions, v.get(name).ID.Version()) {
		t.Error("the current version is not listed")
	}
}

func TestVersionsOfAnUnknownNameAreAnEmptyList(t *testing.T) {
	t.Parallel()
	v := open(t)
	equal(t, "versions", len(v.versions(v.name())), 0)
}

func TestPendingAreListedWhenAskedFor(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	_, err := v.CreateCertificate(t.Context(), name, azcertificates.CreateCertificateParameters{
		CertificatePolicy: small("Unknown"), Tags: tags("t", "1"),
	}, nil)
	check(t, err)
	if v.listed(false)[name] != nil {
		t.Error("a placeholder is listed")
	}
	c := v.listed(true)[name]
	if c == nil {
		t.Fatal("a placeholder is not listed with includePending")
	}
	equal(t, "tags", c.Tags, tags("t", "1"))
	equal(t, "enabled", c.Attributes.Enabled, to.Ptr(false))
	equal(t, "x5t", c.X509Thumbprint, []byte(nil))
	equal(t, "versions", len(v.versions(name)), 0)

	_, err = v.DeleteCertificate(t.Context(), name, nil)
	check(t, err)
	if v.deleted(false)[name] != nil || v.deleted(true)[name] == nil {
		t.Error("a deleted placeholder is to be listed with includePending only")
	}
}

func TestListShowsTheCurrentVersion(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	v.create(name, azcertificates.CreateCertificateParameters{Tags: tags("v", "1")})
	second := v.create(name, azcertificates.CreateCertificateParameters{Tags: tags("v", "2"), CertificateAttributes: enabled(false)})
	c := v.listed(false)[name]
	equal(t, "tags", c.Tags, tags("v", "2"))
	equal(t, "enabled", c.Attributes.Enabled, to.Ptr(false))
	equal(t, "x5t", c.X509Thumbprint, second.X509Thumbprint)
}
