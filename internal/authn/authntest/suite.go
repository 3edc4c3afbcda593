package authntest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/directory"
	"coffer/internal/object"
	"coffer/internal/token"
)

// TestDB checks that a DB keeps what Tx promises. newDB makes an empty
// one; it registers its own clean-up.
func TestDB(t *testing.T, newDB func(t *testing.T) object.DB[Tx]) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Tx) conflicts
	}{
		{"principals", testPrincipals},
		{"credentials", testCredentials},
		{"memberships", testMemberships},
		{"deleting a principal takes what is its own along", testDelete},
		{"signing keys", testSigningKeys},
		{"assertions", testAssertions},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDB(t)
			var taken conflicts
			do(t, db.Update(t.Context(), func(tx Tx) error {
				taken = c.run(t, tx)
				return nil
			}))
			for _, insert := range taken {
				want(t, db.Update(t.Context(), insert), object.ErrExists)
			}
		})
	}
	t.Run("a transaction that fails leaves nothing", func(t *testing.T) { testRollback(t, newDB(t)) })
}

// conflicts are inserts that must each fail with object.ErrExists, in a
// transaction of its own: PostgreSQL lets none go on after such a failure.
type conflicts []func(Tx) error

var then = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// id makes a GUID that sorts by n.
func id(n int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", n) }

func principal(n int, kind directory.Kind) *directory.Principal {
	p := &directory.Principal{ObjectID: id(n), Name: "Name ünd '\"%", Kind: kind, Enabled: true, Created: then}
	if kind != directory.Group {
		p.AppID = id(n + 1000)
	}
	return p
}

func hash(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got error %v, want %v", err, target)
	}
}

func same[T any](t *testing.T, got, want T, err error) {
	t.Helper()
	do(t, err)
	if d := cmp.Diff(want, got, cmp.Transformer("utc", func(t time.Time) time.Time { return t.UTC() })); d != "" {
		t.Error(d)
	}
}

func testPrincipals(t *testing.T, tx Tx) conflicts {
	ctx := t.Context()
	a, b, g, h := principal(1, directory.ServicePrincipal), principal(2, directory.ManagedIdentity), principal(3, directory.Group), principal(4, directory.Group)
	for _, p := range []*directory.Principal{h, b, a, g} { // two groups without AppID are no conflict
		do(t, tx.InsertPrincipal(ctx, p))
	}
	got, err := tx.Principal(ctx, a.ObjectID)
	same(t, got, a, err)
	got, err = tx.PrincipalByAppID(ctx, b.AppID)
	same(t, got, b, err)
	for _, absent := range []string{id(9), "", strings.ToUpper("abc")} {
		_, err = tx.Principal(ctx, absent)
		want(t, err, object.ErrNotFound)
		_, err = tx.PrincipalByAppID(ctx, absent)
		want(t, err, object.ErrNotFound)
	}
	list, err := tx.Principals(ctx, "", 3)
	same(t, list, []*directory.Principal{a, b, g}, err)
	list, err = tx.Principals(ctx, g.ObjectID, 3)
	same(t, list, []*directory.Principal{h}, err)

	a.Enabled, a.Name, a.ValidAfter = false, "another", 1_764_576_000_123
	do(t, tx.UpdatePrincipal(ctx, a))
	got, err = tx.Principal(ctx, a.ObjectID)
	same(t, got, a, err)
	want(t, tx.UpdatePrincipal(ctx, principal(9, directory.User)), object.ErrNotFound)

	list, err = tx.Principals(ctx, "", 10)
	same(t, list, []*directory.Principal{a, b, g, h}, err)
	return conflicts{
		func(tx Tx) error {
			return tx.InsertPrincipal(ctx, &directory.Principal{ObjectID: a.ObjectID, AppID: id(7), Kind: directory.User, Created: then})
		},
		func(tx Tx) error {
			return tx.InsertPrincipal(ctx, &directory.Principal{ObjectID: id(7), AppID: b.AppID, Kind: directory.User, Created: then})
		},
	}
}

func testCredentials(t *testing.T, tx Tx) conflicts {
	ctx := t.Context()
	a, b := principal(1, directory.ServicePrincipal), principal(2, directory.ServicePrincipal)
	do(t, tx.InsertPrincipal(ctx, a))
	do(t, tx.InsertPrincipal(ctx, b))
	end := then.Add(time.Hour)
	secret := &directory.Credential{ID: id(11), ObjectID: a.ObjectID, Kind: directory.Secret, Hash: hash("s"), Hint: "cof_abc", Created: then.Add(time.Second), Expires: &end}
	cert := &directory.Credential{ID: id(12), ObjectID: a.ObjectID, Kind: directory.Certificate, Hash: hash("c"), Certificate: []byte{0x30, 0, 0xff}, Created: then}
	federated := &directory.Credential{ID: id(13), ObjectID: a.ObjectID, Kind: directory.Federated, Issuer: "https://issuer.test", Subject: "repo:a/b:ref", Audiences: []string{"api://x", "y, z"}, Created: then}
	other := &directory.Credential{ID: id(14), ObjectID: b.ObjectID, Kind: directory.Federated, Issuer: "i", Subject: "s", Audiences: []string{"a"}, Created: then}
	header := &directory.Credential{ID: id(15), ObjectID: b.ObjectID, Kind: directory.IdentityHeader, Hash: hash("s"), Created: then.Add(time.Second)}
	for _, c := range []*directory.Credential{secret, federated, cert, other, header} { // one hash may serve two kinds
		do(t, tx.InsertCredential(ctx, c))
	}
	list, err := tx.Credentials(ctx, a.ObjectID)
	same(t, list, []*directory.Credential{cert, federated, secret}, err)
	list, err = tx.Credentials(ctx, id(9))
	same(t, len(list), 0, err)
	got, err := tx.CredentialByHash(ctx, directory.IdentityHeader, hash("s"))
	same(t, got, header, err)
	_, err = tx.CredentialByHash(ctx, directory.Secret, hash("c"))
	want(t, err, object.ErrNotFound)

	do(t, tx.DeleteCredential(ctx, b.ObjectID, secret.ID)) // not b's
	do(t, tx.DeleteCredential(ctx, a.ObjectID, cert.ID))
	do(t, tx.DeleteCredential(ctx, a.ObjectID, cert.ID))
	list, err = tx.Credentials(ctx, a.ObjectID)
	same(t, list, []*directory.Credential{federated, secret}, err)
	return conflicts{
		func(tx Tx) error {
			return tx.InsertCredential(ctx, &directory.Credential{ID: id(16), ObjectID: b.ObjectID, Kind: directory.Secret, Hash: hash("s"), Created: then})
		},
		func(tx Tx) error {
			return tx.InsertCredential(ctx, &directory.Credential{ID: secret.ID, ObjectID: b.ObjectID, Kind: directory.Secret, Hash: hash("n"), Created: then})
		},
	}
}

func testMemberships(t *testing.T, tx Tx) conflicts {
	ctx := t.Context()
	g, h := principal(3, directory.Group), principal(4, directory.Group)
	do(t, tx.InsertPrincipal(ctx, g))
	do(t, tx.InsertPrincipal(ctx, h))
	member := id(77) // nobody's row
	for _, m := range []directory.Membership{{GroupID: h.ObjectID, MemberID: member}, {GroupID: g.ObjectID, MemberID: member}, {GroupID: g.ObjectID, MemberID: member}, {GroupID: h.ObjectID, MemberID: g.ObjectID}} {
		do(t, tx.InsertMembership(ctx, m))
	}
	ids, err := tx.GroupsOf(ctx, member)
	same(t, ids, []string{g.ObjectID, h.ObjectID}, err)
	ids, err = tx.MembersOf(ctx, h.ObjectID)
	same(t, ids, []string{g.ObjectID, member}, err)
	do(t, tx.DeleteMembership(ctx, directory.Membership{GroupID: g.ObjectID, MemberID: member}))
	do(t, tx.DeleteMembership(ctx, directory.Membership{GroupID: g.ObjectID, MemberID: member}))
	ids, err = tx.GroupsOf(ctx, member)
	same(t, ids, []string{h.ObjectID}, err)
	return nil
}

func testDelete(t *testing.T, tx Tx) conflicts {
	ctx := t.Context()
	a, g := principal(1, directory.ServicePrincipal), principal(2, directory.Group)
	do(t, tx.InsertPrincipal(ctx, a))
	do(t, tx.InsertPrincipal(ctx, g))
	do(t, tx.InsertCredential(ctx, &directory.Credential{ID: id(11), ObjectID: a.ObjectID, Kind: directory.Secret, Hash: hash("s"), Created: then}))
	do(t, tx.InsertMembership(ctx, directory.Membership{GroupID: g.ObjectID, MemberID: a.ObjectID}))
	do(t, tx.InsertMembership(ctx, directory.Membership{GroupID: g.ObjectID, MemberID: id(77)}))
	do(t, tx.DeletePrincipal(ctx, a.ObjectID))
	do(t, tx.DeletePrincipal(ctx, a.ObjectID))
	_, err := tx.CredentialByHash(ctx, directory.Secret, hash("s"))
	want(t, err, object.ErrNotFound)
	ids, err := tx.MembersOf(ctx, g.ObjectID)
	same(t, ids, []string{id(77)}, err)
	do(t, tx.DeletePrincipal(ctx, g.ObjectID))
	ids, err = tx.GroupsOf(ctx, id(77))
	same(t, len(ids), 0, err)
	return nil
}

func testSigningKeys(t *testing.T, tx Tx) conflicts {
	ctx := t.Context()
	k := &token.SigningKey{ID: "kid-2", Private: []byte("\x01boxes of\x02"), Public: []byte{3, 0xff}, Created: then, RetireAt: then.Add(time.Hour)}
	l := &token.SigningKey{ID: "kid-1", Private: []byte("\x01boxes of\x04"), Public: []byte{5}, Created: then.Add(time.Second), RetireAt: then.Add(time.Hour)}
	do(t, tx.InsertSigningKey(ctx, l))
	do(t, tx.InsertSigningKey(ctx, k))
	ks, err := tx.SigningKeys(ctx)
	same(t, ks, []*token.SigningKey{k, l}, err)
	do(t, tx.DeleteSigningKey(ctx, k.ID))
	do(t, tx.DeleteSigningKey(ctx, k.ID))
	ks, err = tx.SigningKeys(ctx)
	same(t, ks, []*token.SigningKey{l}, err)
	return conflicts{func(tx Tx) error { return tx.InsertSigningKey(ctx, l) }}
}

func testAssertions(t *testing.T, tx Tx) conflicts {
	ctx := t.Context()
	remember := func(id string, until time.Time, want bool) {
		t.Helper()
		got, err := tx.RememberAssertion(ctx, id, until)
		same(t, got, want, err)
	}
	remember("a", then, true)
	remember("a", then.Add(time.Hour), false)
	remember("b", then.Add(time.Minute), true)
	do(t, tx.ForgetAssertions(ctx, then)) // "a" ends at then, not before it
	remember("a", then, false)
	do(t, tx.ForgetAssertions(ctx, then.Add(time.Second)))
	remember("a", then, true)
	remember("b", then, false)
	return nil
}

func testRollback(t *testing.T, db object.DB[Tx]) {
	ctx, stop := t.Context(), errors.New("stop")
	a := principal(1, directory.ServicePrincipal)
	err := db.Update(ctx, func(tx Tx) error {
		do(t, tx.InsertPrincipal(ctx, a))
		_, err := tx.RememberAssertion(ctx, "a", then)
		do(t, err)
		return stop
	})
	want(t, err, stop)
	do(t, db.View(ctx, func(tx Tx) error {
		_, err := tx.Principal(ctx, a.ObjectID)
		want(t, err, object.ErrNotFound)
		return nil
	}))
	do(t, db.Update(ctx, func(tx Tx) error {
		fresh, err := tx.RememberAssertion(ctx, "a", then)
		same(t, fresh, true, err)
		return nil
	}))
}

// TestConcurrent checks that of several transactions that remember one
// assertion, one wins.
func TestConcurrent(t *testing.T, newDB func(t *testing.T) object.DB[Tx]) {
	db, ctx := newDB(t), t.Context()
	results := make(chan bool)
	for range 4 {
		go func() {
			var fresh bool
			err := db.Update(context.WithoutCancel(ctx), func(tx Tx) (err error) {
				fresh, err = tx.RememberAssertion(ctx, "one", then)
				return err
			})
			results <- err == nil && fresh
		}()
	}
	won := []bool{<-results, <-results, <-results, <-results}
	if n := len(slices.DeleteFunc(won, func(b bool) bool { return !b })); n != 1 {
		t.Errorf("%d transactions were first, want 1", n)
	}
}
