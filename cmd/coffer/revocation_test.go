package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

var revocations = flag.Int("revocations", 3, "how often each kind of revocation is measured")

// told runs an operator's command with --json and reads what it answers.
func (f *folder) told(into any, args ...string) {
	f.t.Helper()
	out := f.coffer(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
}

// identity makes an application with a secret.
func (f *folder) identity(name string) (object, client, credential, secret string) {
	f.t.Helper()
	var p struct{ ObjectID, ClientID string }
	f.told(&p, "identity", "create", name)
	var c struct{ ID, Value string }
	f.told(&c, "identity", "secret", p.ObjectID)
	return p.ObjectID, p.ClientID, c.ID, c.Value
}

// What is taken back on one replica ends on the other within the second that
// docs/operation.md states, while the other is asked all the time and so has all of it
// in memory. With -v it tells what docs/performance.md records.
func TestRevocationIsQuickOnEveryReplica(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves PostgreSQL out")
	}
	env, args := onPostgres(t)
	one := newFolder(t, env, args...)
	two := one.replica()
	a, b := one.start(), two.start()
	one.coffer("vault", "create", "roles", "--rbac")
	one.coffer("identity", "create", "team", "--kind", "group")
	one.coffer("access", "set", "main", "team", "--certificates", "list")

	type subject struct{ object, client, credential, secret, assignment string }
	byPolicy := func(s subject) { one.coffer("access", "set", "main", s.object, "--certificates", "list") }
	nothing := func(subject) {}
	for _, kind := range []struct {
		name   string
		host   string
		give   func(s subject)
		revoke []string // the words of subject in it are replaced
		status int
		again  bool // the same credential obtains a token that is good
	}{
		{"disable", "main", byPolicy, []string{"identity", "disable", "OBJECT"}, 401, false},
		{"forget a credential", "main", byPolicy, []string{"identity", "forget", "OBJECT", "CREDENTIAL"}, 401, false},
		{"revoke", "main", byPolicy, []string{"identity", "revoke", "OBJECT"}, 401, true},
		{"delete", "main", byPolicy, []string{"identity", "delete", "OBJECT", "--yes"}, 401, false},
		{"remove an access policy", "main", byPolicy, []string{"access", "remove", "main", "OBJECT"}, 403, false},
		{"leave a group", "main", func(s subject) { one.coffer("identity", "join", "team", s.object) }, []string{"identity", "leave", "team", "OBJECT"}, 403, false},
		{"remove a role assignment", "roles", nothing, []string{"access", "unassign", "ASSIGNMENT"}, 403, false},
		{"revoke the keys", "main", byPolicy, []string{"token", "revoke-keys", "--yes"}, 401, true},
	} {
		var took []time.Duration
		for n := range *revocations {
			var s subject
			s.object, s.client, s.credential, s.secret = one.identity(fmt.Sprintf("%s %d", kind.name, n))
			kind.give(s)
			if kind.host == "roles" {
				var as struct{ ID string }
				one.told(&as, "access", "assign", "Key Vault Reader", s.object, "--vault", "roles")
				s.assignment = as.ID
			}
			token := a.signIn(s.client, s.secret)
			ask := func() (int, error) {
				req, err := http.NewRequest(http.MethodGet, "https://"+kind.host+".vault.test/certificates?api-version=7.6", nil)
				if err != nil {
					return 0, err
				}
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := b.client.Do(req)
				if err != nil {
					return 0, err
				}
				return resp.StatusCode, resp.Body.Close()
			}
			until(t, kind.name+": the right", func() bool { got, _ := ask(); return got == http.StatusOK })
			asked := make(chan struct{})
			go func() { // so that all of it is kept there, of whatever age
				defer close(asked)
				for got, err := ask(); err == nil && got == http.StatusOK; got, err = ask() {
					time.Sleep(7 * time.Millisecond)
				}
			}()
			command := strings.NewReplacer("OBJECT", s.object, "CREDENTIAL", s.credential, "ASSIGNMENT", s.assignment)
			var words []string
			for _, w := range kind.revoke {
				words = append(words, command.Replace(w))
			}
			one.coffer(words...)
			told := time.Now()
			for {
				got, err := ask()
				if err != nil || got != http.StatusOK && got != kind.status || time.Since(told) > deadline {
					t.Fatalf("%s: %d, %v after %v", kind.name, got, err, time.Since(told))
				}
				if got == kind.status {
					break
				}
				time.Sleep(time.Millisecond)
			}
			took = append(took, time.Since(told))
			<-asked
			if kind.again {
				token = b.signIn(s.client, s.secret)
				if got, err := ask(); got != http.StatusOK {
					t.Errorf("%s: a new token: %d, %v", kind.name, got, err)
				}
			}
		}
		slices.Sort(took)
		last := took[len(took)-1]
		t.Logf("| %s | %d | %.0f ms | %.0f ms | %.0f ms |", kind.name, len(took), ms(took[len(took)/2]), ms(took[(len(took)*99-1)/100]), ms(last))
		// Loose: the stated second, and as much again for a machine that is busy.
		if last > 2*time.Second {
			t.Errorf("%s took %v", kind.name, last)
		}
		a.token, b.token = a.signIn(one.who.ClientID, one.who.ClientSecret), b.signIn(one.who.ClientID, one.who.ClientSecret)
	}
	a.stop(syscall.SIGTERM)
	b.stop(syscall.SIGTERM)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// A client of the SDK whose token is revoked goes on without a restart: the claims
// challenge has it sign in anew, although its own token has not expired. One whose
// credential is gone stays out.
func TestClientsSignInAnewAfterARevocation(t *testing.T) {
	f := newFolder(t, nil)
	p := f.start()
	object, client, credential, secret := f.identity("web")
	f.coffer("access", "set", "main", object, "--certificates", "list")

	options := azcore.ClientOptions{
		Transport: p.client,
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: "https://login.vault.test/"},
	}
	who, err := azidentity.NewClientSecretCredential("adfs", client, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	certs, err := azcertificates.NewClient("https://main.vault.test", who, &azcertificates.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	list := func() error {
		_, err := certs.NewListCertificatePropertiesPager(nil).NextPage(t.Context())
		return err
	}
	for _, step := range [][]string{nil, {"identity", "revoke", "web"}, {"token", "revoke-keys", "--yes"}, {"identity", "disable", "web"}, {"identity", "enable", "web"}, {"identity", "forget", "web", credential}} {
		if step != nil {
			f.coffer(step...)
		}
		err := list()
		if out := slices.Contains(step, "disable") || slices.Contains(step, "forget"); out != (err != nil) {
			t.Errorf("after %v: %v", step, err)
		}
	}
	p.stop(syscall.SIGTERM)
}
