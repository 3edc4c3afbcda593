package authn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
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
	fetchEvery   = time.Minute // at most, whether or not it succeeds
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

	mu    sync.Mutex
	tried time.Time // guarded by mu: when the last fetch began
}

type fetched struct {
	keys []jose.JSONWebKey
	at   time.Time
}

// find gives the key of a token's header: by kid, or if there is none by x5t.
// It is nil when the issuer has no such key, or could not be asked.
func (s *keySet) find(ctx context.Context, kid, x5t string) crypto.PublicKey {
	if have := s.keys.Load(); have != nil {
		if key := have.find(kid, x5t); key != nil {
			if s.now().Sub(have.at) < refreshEvery || !s.refreshing.CompareAndSwap(false, true) {
				return key
			}
			// One request does the daily refresh; others go on with what there is.
			defer s.refreshing.Store(false)
		}
	}
	select {
	case <-s.flight.DoChan("", func() (any, error) { s.refresh(ctx); return nil, nil }):
	case <-ctx.Done():
	}
	if have := s.keys.Load(); have != nil {
		return have.find(kid, x5t)
	}
	return nil
}

// refresh fetches the keys unless that was tried within the last minute. The
// last good set stays when it fails.
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
	keys, err := s.fetch(ctx)
	if err != nil {
		s.log.WarnContext(ctx, "fetching the keys of an issuer", "issuer", s.issuer, "err", err)
		return
	}
	s.keys.Store(&fetched{keys: keys, at: now})
}

func (s *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	uri := s.jwksURI
	if uri == "" {
		var doc struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		if err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration", &doc); err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
		if doc.Issuer != s.issuer { // OpenID Connect Discovery 1.0, section 4.3
			return nil, errors.New("discovery: the document is of another issuer")
		}
		uri = doc.JWKSURI
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, uri, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("key set: more than %d keys", maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil || !usable(k) {
			continue // keys we cannot use are to be ignored (RFC 7517, section 5)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("key set: no key to verify signatures with")
	}
	return keys, nil
}

// usable reports whether a key may verify signatures. Symmetric keys and short
// RSA keys may not.
func usable(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" || !k.Valid() {
		return false
	}
	switch pub := k.Key.(type) {
	case *rsa.PublicKey:
		return pub.N.BitLen() >= directory.MinRSABits
	case *ecdsa.PublicKey:
		return true
	default:
		return false
	}
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

func (f *fetched) find(kid, x5t string) crypto.PublicKey {
	for _, k := range f.keys {
		switch {
		case kid != "" && k.KeyID == kid,
			kid == "" && x5t != "" && (k.KeyID == x5t || base64.RawURLEncoding.EncodeToString(k.CertificateThumbprintSHA1) == x5t):
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
