package access

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// A hundred draws, rapid's default, may well hold next to nothing that is allowed.
func init() {
	if err := flag.Set("rapid.checks", "1000"); err != nil {
		panic(err)
	}
}

// Small sets, so that rules and requests meet often.
var (
	drawID       = rapid.SampledFrom([]string{ann, strings.ToUpper(ann), team, app, "", "bbbbbbbb-0000-0000-0000-00000000000f"})
	drawTenant   = rapid.SampledFrom([]string{tenant, tenant, tenant, "aaaaaaaa-0000-0000-0000-000000000002", ""})
	drawName     = rapid.SampledFrom([]string{"app", "APP", "app2", "ap", "web"})
	drawAction   = rapid.SampledFrom(Actions())
	drawWords    = rapid.SliceOfN(rapid.SampledFrom(strings.Fields(allWords[object.Certificates]+" "+allWords[object.Keys]+" "+allWords[object.Secrets]+" all Get")), 0, 4)
	drawPatterns = rapid.SliceOfN(rapid.Map(rapid.SampledFrom(append([]string{"*", "*/read", "secrets/*", "keys/*", "*/action"}, allDataActions...)),
		func(s string) string { return dataPrefix + s }), 0, 3)
	drawCondition = rapid.SampledFrom([]string{"", "", "", onlyTestApp, onlySetApp, onlyProduction, "nonsense",
		"@Resource[Microsoft.KeyVault/vaults/secrets:name] StringNotStartsWithIgnoreCase 'app'"})
	drawScope = rapid.SampledFrom([]string{"/", "/subscriptions/" + sub, kv1, strings.ToLower(kv1), kv1 + "/", vaults + "kv", vaults + "kv2",
		kv1 + "/secrets/app", kv1 + "/keys/APP", kv1 + "/certificates/web", kv1 + "/secrets/ap", "", "/providers/Microsoft.Management/managementGroups/" + tenant})

	drawEntry = rapid.Custom(func(t *rapid.T) vault.AccessPolicy {
		return vault.AccessPolicy{
			TenantID: drawTenant.Draw(t, "tenant"), ObjectID: drawID.Draw(t, "object"),
			ApplicationID: rapid.SampledFrom([]string{"", "", app, ann}).Draw(t, "application"),
			Certificates:  drawWords.Draw(t, "certificates"), Keys: drawWords.Draw(t, "keys"), Secrets: drawWords.Draw(t, "secrets"),
		}
	})
	drawAssignment = rapid.Custom(func(t *rapid.T) Assignment {
		return Assignment{
			ID: "as", Scope: drawScope.Draw(t, "scope"), PrincipalID: drawID.Draw(t, "principal"), Condition: drawCondition.Draw(t, "condition"),
			RoleID: rapid.SampledFrom([]string{custom, administrator, reader, secretsUser, cryptoUser, certificateUser, OwnerID, ""}).Draw(t, "role"),
		}
	})
	drawRole = rapid.Custom(func(t *rapid.T) Role {
		return Role{ID: custom, DataActions: drawPatterns.Draw(t, "data"), NotDataActions: drawPatterns.Draw(t, "not"), Condition: drawCondition.Draw(t, "condition")}
	})
	drawCaller = rapid.Custom(func(t *rapid.T) Caller {
		return Caller{
			TenantID: drawTenant.Draw(t, "tenant"), ObjectID: drawID.Draw(t, "oid"), AppID: app,
			Delegated: rapid.Bool().Draw(t, "delegated"), Groups: rapid.SliceOfN(drawID, 0, 2).Draw(t, "groups"),
		}
	})
	drawRules = rapid.Custom(func(t *rapid.T) Rules {
		v := policyVault(rapid.SliceOfN(drawEntry, 0, 4).Draw(t, "entries")...)
		v.RBAC = rapid.Bool().Draw(t, "rbac")
		return Rules{Vault: v, Assignments: rapid.SliceOfN(drawAssignment, 0, 4).Draw(t, "assignments"), Roles: rapid.SliceOfN(drawRole, 0, 2).Draw(t, "roles")}
	})
)

// question is one request with its rules.
type question struct {
	c     Caller
	a     Action
	n     object.Name
	rules Rules
}

func drawQuestion(t *rapid.T) question {
	return question{drawCaller.Draw(t, "caller"), drawAction.Draw(t, "action"), name(drawName.Draw(t, "name")), drawRules.Draw(t, "rules")}
}

func (q question) decide() Decision { return decide(q.c, q.a, q.n, q.rules) }

func TestMoreGrantsNeverRefuse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		before := q.decide()
		v := *q.rules.Vault
		v.AccessPolicies = append(rapid.SliceOfN(drawEntry, 0, 2).Draw(t, "more entries"), v.AccessPolicies...)
		q.rules.Vault = &v
		q.rules.Assignments = append(rapid.SliceOfN(drawAssignment, 0, 2).Draw(t, "more assignments"), q.rules.Assignments...)
		q.c.Groups = append(q.c.Groups, rapid.SliceOfN(drawID, 0, 2).Draw(t, "more groups")...)
		if before.Allowed && !q.decide().Allowed {
			t.Fatal("a grant more, and refused")
		}
	})
}

func TestTheOrderOfRulesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		before := q.decide().Allowed
		shuffle := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		p, as, groups := q.rules.Vault.AccessPolicies, q.rules.Assignments, q.c.Groups
		shuffle.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
		shuffle.Shuffle(len(as), func(i, j int) { as[i], as[j] = as[j], as[i] })
		shuffle.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		if q.decide().Allowed != before {
			t.Fatal("another order, another answer")
		}
	})
}

// Whatever the rules, an answer has its reason, in the words of its model, and
// one form of a name is as good as another unless a condition looks at it.
func TestAnswersAreWhole(t *testing.T) {
	allowed := 0
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		d := q.decide()
		if d.RBAC != q.rules.Vault.RBAC {
			t.Fatal("the other model decided")
		}
		if d.Allowed {
			allowed++
			if d.Refusal != nil {
				t.Fatal("allowed and refused")
			}
			if !strings.EqualFold(q.c.TenantID, q.rules.Vault.TenantID) {
				t.Fatal("an unrelated caller is let in")
			}
		} else if d.Refusal == nil || d.Refusal.Kind != fault.Forbidden || (d.Refusal.Reason == fault.ForbiddenByRbac) != d.RBAC {
			t.Fatalf("refused without its reason: %+v", d.Refusal)
		}
		q.rules.Spelling = q.n
		q.n = name(strings.ToUpper(q.n.String()))
		if q.decide().Allowed != d.Allowed {
			t.Fatal("another casing, another answer")
		}
	})
	if allowed == 0 {
		t.Error("nothing was ever allowed: the sets are too sparse")
	}
}

// The answer for an object does not depend on grants that are for its siblings.
func TestSiblingsDoNotHelp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		as := drawAssignment.Draw(t, "assignment")
		as.Scope = kv1 + "/secrets/" + rapid.SampledFrom([]string{"ap", "app", "app2", "APP"}).Draw(t, "object")
		n := name(drawName.Draw(t, "name"))
		if strings.EqualFold(as.Scope, kv1+"/secrets/"+n.String()) {
			t.Skip() // this draw, not the test: the grant is on the object itself, which is no sibling
		}
		if allows(annCaller(), SecretGet, n, roles(as)) {
			t.Fatal("allowed by a grant on a sibling")
		}
	})
}

func TestGlobAgreesWithItsDefinition(t *testing.T) {
	var slow func(p, s string) bool // straight from the definition
	slow = func(p, s string) bool {
		switch {
		case p == "":
			return s == ""
		case p[0] == '*':
			return slow(p[1:], s) || s != "" && slow(p, s[1:])
		}
		return s != "" && p[0] == s[0] && slow(p[1:], s[1:])
	}
	rapid.Check(t, func(t *rapid.T) {
		p, s := rapid.StringMatching(`[ab/*]{0,8}`).Draw(t, "pattern"), rapid.StringMatching(`[ab/]{0,8}`).Draw(t, "text")
		if matches(p, strings.ToUpper(s)) != slow(p, s) {
			t.Fatalf("%q over %q: %t", p, s, !slow(p, s))
		}
	})
}
