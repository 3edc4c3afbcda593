package authn_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"coffer/internal/authn/authntest"
	"coffer/internal/token"
)

// kids lists the published keys.
func kids(t *testing.T, r replica) (ids []string) {
	t.Helper()
	set, err := r.tokens.KeySet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		ids = append(ids, k.KeyID)
	}
	return ids
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	_, header := split(t, token)
	return header["kid"].(string)
}

// A key signs for its period of an hour, and is good two days longer.
func TestKeysRotateWithOverlap(t *testing.T) {
	w := newWorld(t)
	p := w.app(t, "app")
	v := w.verifier(t, w.replica)
	managed, err := w.dir.CreateManagedIdentity(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	old := w.mint(t, w.replica, p, resource)
	first := kidOf(t, old)
	w.clock.add(59 * time.Minute)
	if got := kidOf(t, w.mint(t, w.replica, p, resource)); got != first {
		t.Errorf("after 59 minutes %s signs, not %s", got, first)
	}
	w.clock.add(time.Minute)
	last := w.mint(t, w.replica, managed, resource) // makes the next key, which has to settle
	if got := kidOf(t, last); got != first {
		t.Errorf("a new key signs at once: %s", got)
	}
	ids := kids(t, w.replica)
	if len(ids) != 2 || ids[0] != first {
		t.Fatalf("published: %v", ids)
	}
	w.clock.add(time.Minute)
	if got := kidOf(t, w.mint(t, w.replica, p, resource)); got != ids[1] {
		t.Errorf("the settled key does not sign: %s", got)
	}
	if _, err := v.Verify(t.Context(), "Bearer "+last, audiences, tenant); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
	w.clock.add(24*time.Hour - 2*time.Minute)
	w.mint(t, w.replica, p, resource)
	if _, err := v.Verify(t.Context(), "Bearer "+last, audiences, tenant); err != nil {
		t.Errorf("a token of the old key in its last minutes: %v", err)
	}
	w.clock.add(25 * time.Hour)
	w.mint(t, w.replica, p, resource)
	if slices.Contains(kids(t, w.replica), first) {
		t.Error("the retired key is still published")
	}
}

func TestReplicasShareKeys(t *testing.T) {
	w := newWorld(t)
	p := w.app(t, "app")
	there := w.another(t)
	v := w.verifier(t, there)
	verify := func(token string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), "Bearer "+token, audiences, tenant); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "x"}, object{"iss": base + "/" + tenant + "/"}, nil), audiences, tenant); code(err) != "AKV10046" {
		t.Error(err) // the replica has read an empty ring
	}
	verify(w.mint(t, w.replica, p, resource)) // a key it has not seen
	if err := w.tokens.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.add(time.Minute)
	token := w.mint(t, w.replica, p, resource)
	verify(token)
	if a, b := kids(t, w.replica), kids(t, there); len(a) != 2 || !slices.Equal(a, b) || kidOf(t, token) != a[1] {
		t.Errorf("keys differ: %v, %v", a, b)
	}
	if got := kidOf(t, w.mint(t, there, p, resource)); got != kidOf(t, token) {
		t.Errorf("replicas sign with different keys")
	}
}

// The database is untrusted: a key that is not in a box of ours is not a key.
func TestKeysPutIntoTheDatabaseAreNotTrusted(t *testing.T) {
	w := newWorld(t)
	p := w.app(t, "app")
	good := w.mint(t, w.replica, p, resource)
	kid, _ := w.signingKey(t)
	evil := rsaKeys()[0]
	spki, _ := x509.MarshalPKIXPublicKey(&evil.PublicKey)
	der, _ := x509.MarshalPKCS8PrivateKey(evil)
	err := (authntest.For[token.Tx]{DB: w.db}).Update(t.Context(), func(tx token.Tx) error {
		rows, err := tx.SigningKeys(t.Context())
		if err != nil {
			return err
		}
		box := rows[0].Private
		for _, row := range []*token.SigningKey{
			{ID: "bare", Private: der, Public: spki, RetireAt: w.clock.now().Add(99 * time.Hour)},
			{ID: "moved", Private: box, Public: spki, RetireAt: w.clock.now().Add(99 * time.Hour)},
		} {
			if err := tx.InsertSigningKey(t.Context(), row); err != nil {
				return err
			}
		}
		swapped := *rows[0]
		swapped.Public = spki
		if err := tx.DeleteSigningKey(t.Context(), kid); err != nil {
			return err
		}
		return tx.InsertSigningKey(t.Context(), &swapped)
	})
	if err != nil {
		t.Fatal(err)
	}
	v := w.verifier(t, w.another(t))
	body, _ := split(t, good)
	for _, id := range []string{"bare", "moved", kid} {
		if _, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": id}, body, evil), audiences, tenant); code(err) == "" {
			t.Errorf("a token of key %s passed", id)
		}
	}
	if _, err := v.Verify(t.Context(), "Bearer "+good, audiences, tenant); err != nil {
		t.Errorf("the good key is lost: %v", err)
	}
}
