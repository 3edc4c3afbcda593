package token_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/authn/authntest"
	"coffer/internal/token"
)

// kids lists the published keys.
func kids(t *testing.T, r authntest.Replica) (ids []string) {
	t.Helper()
	set, err := r.Tokens.KeySet(t.Context())
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
	_, header := authntest.Split(t, token)
	return header["kid"].(string)
}

// A key signs for its period of an hour, and is good two days longer.
func TestKeysRotateWithOverlap(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	v := w.Verifier(t, w.Replica)
	managed, err := w.Dir.CreateManagedIdentity(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	old := w.Mint(t, w.Replica, p, resource)
	first := kidOf(t, old)
	w.Clock.Add(59 * time.Minute)
	if got := kidOf(t, w.Mint(t, w.Replica, p, resource)); got != first {
		t.Errorf("after 59 minutes %s signs, not %s", got, first)
	}
	w.Clock.Add(time.Minute)
	last := w.Mint(t, w.Replica, managed, resource) // makes the next key, which has to settle
	if got := kidOf(t, last); got != first {
		t.Errorf("a new key signs at once: %s", got)
	}
	ids := kids(t, w.Replica)
	if len(ids) != 2 || ids[0] != first {
		t.Fatalf("published: %v", ids)
	}
	w.Clock.Add(time.Minute)
	if got := kidOf(t, w.Mint(t, w.Replica, p, resource)); got != ids[1] {
		t.Errorf("the settled key does not sign: %s", got)
	}
	if _, err := v.Verify(t.Context(), "Bearer "+last, audiences, authntest.Tenant); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
	w.Clock.Add(24*time.Hour - 2*time.Minute)
	w.Mint(t, w.Replica, p, resource)
	if _, err := v.Verify(t.Context(), "Bearer "+last, audiences, authntest.Tenant); err != nil {
		t.Errorf("a token of the old key in its last minutes: %v", err)
	}
	w.Clock.Add(25 * time.Hour)
	w.Mint(t, w.Replica, p, resource)
	if slices.Contains(kids(t, w.Replica), first) {
		t.Error("the retired key is still published")
	}
}

func TestReplicasShareKeys(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	there := w.Another(t)
	v := w.Verifier(t, there)
	verify := func(token string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), "Bearer "+token, audiences, authntest.Tenant); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Verify(t.Context(), "Bearer "+authntest.Sign(authntest.Object{"alg": "RS256", "kid": "x"}, authntest.Object{"iss": authntest.Base + "/" + authntest.Tenant + "/"}, nil), audiences, authntest.Tenant); authntest.Code(err) != "AKV10046" {
		t.Error(err) // the replica has read an empty ring
	}
	verify(w.Mint(t, w.Replica, p, resource)) // a key it has not seen
	if err := w.Tokens.RotateKeys(t.Context(), accesstest.New(t).Everywhere(access.TokenKeyRotate)); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(time.Minute)
	token := w.Mint(t, w.Replica, p, resource)
	verify(token)
	if a, b := kids(t, w.Replica), kids(t, there); len(a) != 2 || !slices.Equal(a, b) || kidOf(t, token) != a[1] {
		t.Errorf("keys differ: %v, %v", a, b)
	}
	if got := kidOf(t, w.Mint(t, there, p, resource)); got != kidOf(t, token) {
		t.Errorf("replicas sign with different keys")
	}
}

// The database is untrusted: a key that is not in a box of ours is not a key.
func TestKeysPutIntoTheDatabaseAreNotTrusted(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	good := w.Mint(t, w.Replica, p, resource)
	kid, _ := w.SigningKey(t)
	forged := authntest.RSAKeys()[0]
	spki, _ := x509.MarshalPKIXPublicKey(&forged.PublicKey)
	der, _ := x509.MarshalPKCS8PrivateKey(forged)
	err := (authntest.For[token.Tx]{DB: w.DB}).Update(t.Context(), func(tx token.Tx) error {
		rows, err := tx.SigningKeys(t.Context())
		if err != nil {
			return err
		}
		box := rows[0].Private
		for _, row := range []*token.SigningKey{
			{ID: "bare", Private: der, Public: spki, RetireAt: w.Clock.Now().Add(99 * time.Hour)},
			{ID: "moved", Private: box, Public: spki, RetireAt: w.Clock.Now().Add(99 * time.Hour)},
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
	v := w.Verifier(t, w.Another(t))
	body, _ := authntest.Split(t, good)
	for _, id := range []string{"bare", "moved", kid} {
		if _, err := v.Verify(t.Context(), "Bearer "+authntest.Sign(authntest.Object{"alg": "RS256", "kid": id}, body, forged), audiences, authntest.Tenant); authntest.Code(err) == "" {
			t.Errorf("a token of key %s passed", id)
		}
	}
	if _, err := v.Verify(t.Context(), "Bearer "+good, audiences, authntest.Tenant); err != nil {
		t.Errorf("the good key is lost: %v", err)
	}
}
