package authn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"coffer/internal/directory"
)

// How keys of other issuers are fetched (contract identity.md, 4).
const (
	refreshEvery = 24 * time.Hour
	keysExpire   = 48 * time.Hour // after the last fetch that succeeded: an issuer that cannot be asked cannot withdraw a key
	fetchEvery   = time.Minute    // at most, whether or not it succeeds
	fetchTimeout = 10 * time.Second
	maxDocument  = 1 << 20 // bytes of a discovery document or key set
	maxKeys      = 100     // of one key set
)

// keySet is the public keys of one external issuer. go-oidc's own key set was
// not taken: it fetches anew for every token whose signature is wrong, so that
// anybody could make us hammer an issuer, and it puts bodies into errors.
type keySet struct {
	issuer  string
	jwksURI string // "": from the discovery document
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger

	flight     singleflight.Group
	keys       atomic.Pointer[fetched]
	refreshing atomic.Bool

	mu      sync.Mutex
	tried   time.Time // guarded by mu: when the last fetch began
	dropped string    // guarded by mu: what was told of the keys that are not used
}

// keyID is what a token's header says of the key that signed it.
type keyID struct {
	kid, x5t string
	alg      jose.SignatureAlgorithm
}

type fetched struct {
	keys []jose.JSONWebKey
	at   time.Time
}

// find gives the key of a token's header: by kid, or if there is none by x5t.
// It is nil when the issuer has no such key, or could not be asked.
func (s *keySet) find(ctx context.Context, id keyID) crypto.PublicKey {
	have := s.current()
	if key := have.find(id); key != nil {
		if s.now().Sub(have.at) < refreshEvery || !s.refreshing.CompareAndSwap(false, true) {
			return key
		}
		// One request does the daily refresh; others go on with what there is.
		defer s.refreshing.Store(false)
	}
	return s.renewed(ctx, id)
}

// renewed is find in a set that was fetched within the last minute.
func (s *keySet) renewed(ctx context.Context, id keyID) crypto.PublicKey {
	select {
	case <-s.flight.DoChan("", func() (any, error) { s.refresh(ctx); return nil, nil }):
	case <-ctx.Done():
	}
	return s.current().find(id)
}

// current is the set in use; nil when there is none, or it has expired.
func (s *keySet) current() *fetched {
	have := s.keys.Load()
	if have == nil || s.now().Sub(have.at) >= keysExpire {
		return nil
	}
	return have
}

// refresh fetches the keys unless that was tried within the last minute. The last
// good set stays when it fails, until it expires.
func (s *keySet) refresh(ctx context.Context) {
	s.mu.Lock()
	now := s.now()
	if !s.tried.IsZero() && now.Sub(s.tried) < fetchEvery && !now.Before(s.tried) {
		s.mu.Unlock()
		return
	}
	s.tried = now
	s.mu.Unlock()

	// The result serves all who wait: it does not end with the one who asked.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	keys, dropped, err := s.fetch(ctx)
	if err == nil || len(dropped) > 0 {
		s.tellDropped(ctx, dropped)
	}
	if err == nil {
		s.keys.Store(&fetched{keys: keep(s.keys.Load(), keys), at: now})
		return
	}
	s.log.WarnContext(ctx, "fetching the keys of an issuer", "issuer", s.issuer, "err", err)
	if s.keys.Load() != nil && s.current() == nil {
		s.keys.Store(nil)
		s.log.ErrorContext(ctx, "the keys of an issuer have expired: its tokens are refused until its keys can be fetched",
			"issuer", s.issuer, "after", keysExpire.String())
	}
}

// keep takes from the set before the keys that are still the same, which tokens that
// were verified with them remember.
func keep(before *fetched, keys []jose.JSONWebKey) []jose.JSONWebKey {
	if before == nil {
		return keys
	}
	for n := range keys {
		for _, old := range before.keys {
			if old.KeyID == keys[n].KeyID && old.Key.(interface{ Equal(crypto.PublicKey) bool }).Equal(keys[n].Key) {
				keys[n].Key = old.Key
			}
		}
	}
	return keys
}

// tellDropped logs which keys of a set are not used, and why: once, until that changes.
func (s *keySet) tellDropped(ctx context.Context, dropped []string) {
	text := strings.Join(dropped, "; ")
	s.mu.Lock()
	told := s.dropped == text
	s.dropped = text
	s.mu.Unlock()
	if !told && text != "" {
		s.log.WarnContext(ctx, "keys of an issuer are not used", "issuer", s.issuer, "keys", text)
	}
}

// fetch gives the keys that can verify signatures, and which others there are, with the
// reason against each.
func (s *keySet) fetch(ctx context.Context) (keys []jose.JSONWebKey, dropped []string, err error) {
	uri := s.jwksURI
	if uri == "" {
		var doc struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		if err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration", &doc); err != nil {
			return nil, nil, fmt.Errorf("discovery: %w", err)
		}
		if doc.Issuer != s.issuer { // OpenID Connect Discovery 1.0, section 4.3
			return nil, nil, errors.New("discovery: the document is of another issuer")
		}
		uri = doc.JWKSURI
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, uri, &set); err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("key set: more than %d keys", maxKeys)
	}
	for n, raw := range set.Keys {
		var k jose.JSONWebKey
		why := "it cannot be read"
		if k.UnmarshalJSON(raw) == nil {
			why = unusable(k)
		}
		if why == "" && k.KeyID != "" && slices.ContainsFunc(keys, func(o jose.JSONWebKey) bool { return o.KeyID == k.KeyID && sameType(o, k) }) {
			why = "another key has its kid"
		}
		if why == "" {
			keys = append(keys, k)
			continue
		}
		// RFC 7517, section 5: keys that cannot be used are passed over.
		var name struct {
			KeyID string `json:"kid"`
		}
		_ = json.Unmarshal(raw, &name) // of a key that cannot be read it may be all there is
		dropped = append(dropped, fmt.Sprintf("%d (kid '%s'): %s", n+1, quoted(name.KeyID, 64), why))
	}
	if len(keys) == 0 {
		return nil, dropped, errors.New("key set: no key to verify signatures with")
	}
	return keys, dropped, nil
}

// unusable says why a key may not verify signatures; "" when it may. Symmetric keys
// and short RSA keys may not.
func unusable(k jose.JSONWebKey) string {
	if k.Use != "" && k.Use != "sig" {
		return "its use is not sig"
	}
	switch pub := k.Key.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < directory.MinRSABits {
			return fmt.Sprintf("it has fewer than %d bits", directory.MinRSABits)
		}
	case *ecdsa.PublicKey:
	default:
		return "it is neither a public RSA key nor a public EC key"
	}
	if !k.Valid() {
		return "it is not valid"
	}
	if k.Algorithm != "" && !fits(k, jose.SignatureAlgorithm(k.Algorithm)) {
		return "its alg is not of its type, or not supported"
	}
	return ""
}

func sameType(a, b jose.JSONWebKey) bool {
	_, x := a.Key.(*rsa.PublicKey)
	_, y := b.Key.(*rsa.PublicKey)
	return x == y
}

// fits tells whether a key may verify signatures of an algorithm: that of its alg, if
// it has one, and of its type. A signature never chooses how a key is used.
func fits(k jose.JSONWebKey, alg jose.SignatureAlgorithm) bool {
	if k.Algorithm != "" && k.Algorithm != string(alg) || !slices.Contains(asymmetric, alg) {
		return false
	}
	switch pub := k.Key.(type) {
	case *rsa.PublicKey:
		return alg[0] != 'E'
	case *ecdsa.PublicKey: // RFC 7518, section 3.4
		return pub.Curve == elliptic.P256() && alg == jose.ES256 || pub.Curve == elliptic.P384() && alg == jose.ES384
	}
	return false
}

func (s *keySet) get(ctx context.Context, uri string, into any) error {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("the address is not an https URL")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return err
	}
	if len(body) > maxDocument {
		return fmt.Errorf("more than %d bytes", maxDocument)
	}
	if json.Unmarshal(body, into) != nil {
		return errors.New("not the JSON that was expected")
	}
	return nil
}

// find is nil of no set.
func (f *fetched) find(id keyID) crypto.PublicKey {
	if f == nil {
		return nil
	}
	for _, k := range f.keys {
		switch {
		case !fits(k, id.alg):
		case id.kid != "" && k.KeyID == id.kid,
			id.kid == "" && id.x5t != "" && (k.KeyID == id.x5t || base64.RawURLEncoding.EncodeToString(k.CertificateThumbprintSHA1) == id.x5t):
			return k.Key
		}
	}
	return nil
}

// direct makes a copy of a client that follows no redirect: the addresses that
// were configured, or that the issuer's document names, are those that are asked.
func direct(c *http.Client) *http.Client {
	bare := *c
	bare.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	bare.Jar = nil
	return &bare
}
