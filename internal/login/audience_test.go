package login

import (
	"testing"

	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
	"coffer/internal/token"
)

// A client assertion is made for one of our endpoints or issuers, under any of
// our names (contract identity.md, 5.6).
func TestOwnAudience(t *testing.T) {
	const tenant = "11111111-2222-4333-8444-555555555555"
	db := authntest.NewDB()
	dir, err := directory.New(directory.Config{DB: authntest.For[directory.Tx]{DB: db}})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := token.New(token.Config{
		DB: authntest.For[token.Tx]{DB: db}, Sealer: authntest.NewSealer(), Directory: dir, TenantID: tenant, BaseURL: "https://login.example.net:8443",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{tokens: tokens, base: "https://login.example.net:8443", ownHost: func(name string) bool { return name == "localhost" }}
	for aud, want := range map[string]bool{
		"https://login.example.net:8443/" + tenant + "/oauth2/v2.0/token": true,
		"https://login.example.net:8443/" + tenant + "/oauth2/token":      true,
		"https://login.example.net:8443/adfs/oauth2/token":                true,
		"https://LOGIN.example.net/ADFS/oauth2/token/":                    true,
		"https://localhost:1/common/oauth2/v2.0/token":                    true,
		"https://login.example.net:8443/" + tenant + "/v2.0":              true,
		"https://login.example.net:8443/" + tenant + "/":                  true,
		"https://login.example.net:8443/adfs":                             true,
		"https://login.example.net:8443":                                  false,
		"https://login.example.net:8443/" + tenant + "/discovery/keys":    false,
		"https://login.example.net:8443/msi/token":                        false,
		"http://login.example.net:8443/adfs/oauth2/token":                 false,
		"https://login.microsoftonline.com/" + tenant + "/oauth2/token":   false,
		"https://login.example.net.evil.test/adfs/oauth2/token":           false,
		"https://localhost@evil.test/adfs/oauth2/token":                   false,
		"https://localhost/adfs/oauth2/token?x":                           false,
		"https://localhost/99999999-2222-4333-8444-555555555555/":         false,
		"": false,
	} {
		if got := s.ownAudience(aud); got != want {
			t.Errorf("%s: %v, want %v", aud, got, want)
		}
	}
}
