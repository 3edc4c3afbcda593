package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/access"
)

// changes are the last record of the log, and those of the same request: what of its
// members tells what changed, as JSON.
func (w *installation) changes() (all []string) {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, "audit.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte{'\n'})
	last := ""
	for _, line := range slices.Backward(lines) {
		var r struct {
			Operation  string                     `json:"operationName"`
			Properties map[string]json.RawMessage `json:"properties"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			w.t.Fatal(err)
		}
		id := string(r.Properties["requestId"])
		if last == "" {
			last = id
		}
		if id != last {
			break
		}
		text := r.Operation
		for _, name := range slices.Sorted(maps.Keys(r.Properties)) {
			if slices.Contains([]string{"before", "accessPolicy", "roleAssignment", "principal", "credential", "membership", "signingKeys"}, name) {
				text += " " + name + "=" + string(r.Properties[name])
			}
		}
		all = append(all, text)
	}
	slices.Reverse(all)
	return all
}

// Every administrative change tells what it changed, before and after: two that differ
// do not leave the same line.
func TestRecordsTellWhatChanged(t *testing.T) {
	w := newInstallation(t)
	d := here{w}
	do := func(name string, in any) map[string]any {
		t.Helper()
		raw, err := d.call(name, in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var out map[string]any
		_ = json.Unmarshal(raw, &out)
		return out
	}
	is := func(what string, want ...string) {
		t.Helper()
		got := w.changes()
		for i, s := range got { // settings and times of the vault are another test's
			got[i] = regexp.MustCompile(`"validAfter":1[0-9]{12}`).ReplaceAllString(s, `"validAfter":*`)
			if at := strings.Index(s, `"vaultProperties"`); at >= 0 {
				end := strings.Index(s, `"enableRbacAuthorization":`)
				end += strings.IndexAny(s[end:], ",}")
				got[i] = s[:at] + strings.TrimPrefix(s[end:], ",")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
	app := do(IdentityCreate, NewIdentity{Name: "job", Kind: "application"})
	id, client := app["objectId"].(string), app["clientId"].(string)
	principal := func(enabled string) string {
		return `{"objectId":"` + id + `","appId":"` + client + `","name":"job","kind":"servicePrincipal","enabled":` + enabled + `}`
	}
	is("create", `IdentityPrincipalPut principal=`+principal("true"))
	do(IdentityDisable, ByID{ID: "job"})
	is("disable", `IdentityPrincipalDisable before={"principal":`+principal("true")+`} principal=`+principal(`false,"validAfter":*`))
	do(IdentityRevoke, Revocation{ID: "job"})
	is("revoke", `IdentityPrincipalRevoke before={"principal":`+principal(`false,"validAfter":*`)+`} principal=`+principal(`false,"validAfter":*`))

	do(VaultCreate, NewVault{Name: "main"})
	policy := func(secrets string) string {
		return `{"objectId":"` + id + `","certificates":[],"keys":["sign"],"secrets":[` + secrets + `]}`
	}
	do(PolicySet, Policy{Vault: "main", Principal: "job", Keys: []string{"sign"}, Secrets: []string{"get"}})
	is("first policy", `VaultAccessPolicyChanged accessPolicy=`+policy(`"get"`)+` before={}`)
	do(PolicySet, Policy{Vault: "main", Principal: "job", Keys: []string{"sign"}, Secrets: []string{"all"}})
	is("next policy", `VaultAccessPolicyChanged accessPolicy=`+policy(`"all"`)+` before={"accessPolicy":`+policy(`"get"`)+`}`)
	do(PolicyRemove, Policy{Vault: "main", Principal: "job"})
	is("no policy", `VaultAccessPolicyChanged before={"accessPolicy":`+policy(`"all"`)+`}`)

	role := do(RoleAssign, NewAssignment{Role: "Reader", Principal: "job", Vault: "main", Object: "secrets/app"})
	assignment := func(id, scope string) string {
		return `{"id":"` + id + `","roleDefinitionId":"acdd72a7-3385-48ef-bd42-f606fba81ae7","roleName":"Reader","principalId":"` + app["objectId"].(string) + `","scope":"` + scope + `"}`
	}
	scope := role["scope"].(string)
	is("assign", `VaultRoleAssignmentPut roleAssignment=`+assignment(role["id"].(string), scope))
	do(RoleUnassign, ByID{ID: role["id"].(string)})
	is("unassign", `VaultRoleAssignmentDelete before={"roleAssignment":`+assignment(role["id"].(string), scope)+`}`)
	const condition = `((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})))`
	role = do(RoleAssign, NewAssignment{Role: "Reader", Principal: "job", Vault: "main", Condition: condition})
	if got := w.changes(); !strings.Contains(got[0], `"condition":"`+condition+`"`) {
		t.Errorf("%q", got)
	}
	do(RoleUnassign, ByID{ID: role["id"].(string)})

	end := time.Now().Add(time.Hour).Truncate(time.Second)
	secret := do(SecretAdd, NewSecret{ID: "job", Expires: end})
	credential := func(kind, id, more string) string {
		return `{"objectId":"` + app["objectId"].(string) + `","id":"` + id + `","kind":"` + kind + `"` + more + `}`
	}
	expires, _ := json.Marshal(end.Unix())
	is("secret", `IdentityCredentialPut credential=`+credential("secret", secret["id"].(string), `,"expires":`+string(expires)))
	federated := do(FederatedAdd, NewFederated{ID: "job", Issuer: "https://ci.test", Subject: "repo"})
	is("federated", `IdentityCredentialPut credential=`+credential("federated", federated["id"].(string),
		`,"issuer":"https://ci.test","subject":"repo","audiences":["api://AzureADTokenExchange"]`))
	do(CredentialRemove, Forget{ID: "job", Credential: secret["id"].(string)})
	is("forget", `IdentityCredentialDelete before={"credential":`+credential("secret", secret["id"].(string), `,"expires":`+string(expires))+`}`)

	group := do(IdentityCreate, NewIdentity{Name: "team", Kind: "group"})
	member := `{"groupId":"` + group["objectId"].(string) + `","memberId":"` + id + `"}`
	do(MemberAdd, Membership{Group: "team", Member: "job"})
	is("join", `IdentityMemberPut membership=`+member)
	do(MemberAdd, Membership{Group: "team", Member: "job"})
	is("join again", `IdentityMemberPut before={"membership":`+member+`} membership=`+member)
	do(MemberRemove, Membership{Group: "team", Member: "job"})
	is("leave", `IdentityMemberDelete before={"membership":`+member+`}`)
	do(MemberRemove, Membership{Group: "team", Member: "job"})
	is("leave again", `IdentityMemberDelete`)

	do(IdentityDelete, ByID{ID: "job"})
	is("delete", `IdentityPrincipalDelete before={"principal":`+principal(`false,"validAfter":*`)+`}`,
		`IdentityCredentialDelete credential=`+credential("federated", federated["id"].(string), `,"issuer":"https://ci.test","subject":"repo","audiences":["api://AzureADTokenExchange"]`))

	kids := func() (ids []string) {
		list, err := w.service.cfg.Tokens.KeySet(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range list.Keys {
			ids = append(ids, `"`+k.KeyID+`"`)
		}
		return ids
	}
	before := kids()
	do(TokenKeyRotate, None{})
	rotated := kids()
	slices.Sort(rotated)
	is("rotate the key of tokens", `IdentityTokenKeyRotate before={"signingKeys":{"ids":[`+before[0]+`]}} signingKeys={"ids":[`+strings.Join(rotated, ",")+`]}`)
	do(TokenKeysRevoke, KeyIDs{})
	is("revoke the keys of tokens", `IdentityTokenKeyRevoke before={"signingKeys":{"ids":[`+strings.Join(rotated, ",")+`]}} signingKeys={"ids":[`+kids()[0]+`]}`)

	role = do(RoleAssign, NewAssignment{Role: "Reader", Principal: id, Vault: "main"})
	do(VaultDelete, ByName{Name: "main"})
	is("delete a vault", `VaultDelete before={}`, `VaultRoleAssignmentDelete roleAssignment=`+assignment(role["id"].(string), role["scope"].(string)))

	data, _ := os.ReadFile(filepath.Join(w.dir, "audit.jsonl"))
	for _, hidden := range []string{secret["value"].(string), secret["hint"].(string)} {
		if bytes.Contains(data, []byte(hidden)) {
			t.Errorf("the log has %q of a secret", hidden)
		}
	}
}

// A call that panics is on record, and is answered.
func TestAPanicIsOnRecord(t *testing.T) {
	w := newInstallation(t)
	w.service.cfg.Rotate = func(context.Context, access.Grant, bool) (Rotated, error) { panic("private words") }
	w.service = New(w.service.cfg)
	_, s := w.serve()
	if _, err := s.call(Rotate, None{}); err == nil || strings.Contains(err.Error(), "private words") {
		t.Errorf("answered %v", err)
	}
	all := w.records()
	if n := len(all); n != 1 || all[0].Operation != "VaultRootKeyRotate" || all[0].Result != "Failure" || strings.Contains(all[0].Description, "private words") {
		t.Errorf("recorded %+v", all)
	}
	if !strings.Contains(w.log.String(), "private words") {
		t.Error("the log does not have it")
	}
}
