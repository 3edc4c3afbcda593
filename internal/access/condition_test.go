package access

import (
	"strings"
	"testing"

	"coffer/internal/object"
)

const (
	onlyTestApp = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR " +
		"(@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'test-app'))"
	onlySetApp = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR " +
		"(@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-'))"
	onlyProduction = "@Resource[Microsoft.KeyVault/vaults:name] StringStartsWith 'kv-prod'"
)

// Acceptance check 9, the examples of 6.5.
func TestDocumentedConditions(t *testing.T) {
	none := object.Name{}
	for _, tt := range []struct {
		role, condition, vault string
		a                      Action
		name                   object.Name
		want                   bool
	}{
		{secretsUser, onlyTestApp, "kv1", SecretGet, name("test-app-secret1"), true},
		{secretsUser, onlyTestApp, "kv1", SecretGet, name("test-db-password"), false},
		{secretsUser, onlyTestApp, "kv1", SecretGet, name("Test-App-Secret1"), false},
		{secretsUser, onlyTestApp, "kv1", SecretList, none, true},
		{secretsOfficer, onlySetApp, "kv1", SecretSet, name("app-1"), true},
		{secretsOfficer, onlySetApp, "kv1", SecretSet, name("db-1"), false},
		{secretsOfficer, "@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'a'", "kv1", SecretRestore, name("a"), true},
		{secretsOfficer, onlySetApp, "kv1", SecretDelete, name("db-1"), true},
		{secretsUser, onlyProduction, "kv-prod-1", SecretGet, name("db"), true},
		{secretsUser, onlyProduction, "kv-prod-1", SecretList, none, true},
		{secretsUser, onlyProduction, "kv-test-1", SecretGet, name("db"), false},
		{certificatesOfficer, onlyProduction, "kv-prod-1", CertificateGet, name("web"), true},
		// A condition on the name, without a look at the action, refuses lists and other families.
		{secretsUser, "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'a'", "kv1", SecretList, none, false},
		{secretsUser, "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringNotStartsWith 'a'", "kv1", SecretList, none, false},
		{administrator, "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'a'", "kv1", KeyGet, name("a"), false},
		{secretsOfficer, "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'a'", "kv1", SecretSet, name("a"), false},
		{secretsOfficer, "@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'a'", "kv1", SecretGet, name("a"), false},
	} {
		as := at("/subscriptions/"+sub, tt.role)
		as.Condition = tt.condition
		rules := roles(as)
		rules.Vault.Name = tt.vault
		if got := allows(annCaller(), tt.a, tt.name, rules); got != tt.want {
			t.Errorf("%v %s in %s: %t, with %s", tt.a, tt.name, tt.vault, got, tt.condition)
		}
	}
}

func TestConditionOperators(t *testing.T) {
	const on = "@Resource[Microsoft.KeyVault/vaults/secrets:name] "
	for _, tt := range []struct {
		text string
		name string
		want bool
	}{
		{on + "StringEquals 'a-b'", "a-b", true},
		{on + "StringEquals 'a-b'", "A-b", false},
		{on + "StringEquals 'a-b'", "a-bc", false},
		{on + "StringEqualsIgnoreCase 'a-b'", "A-B", true},
		{on + "StringNotEquals 'a-b'", "A-b", true},
		{on + "StringNotEquals 'a-b'", "a-b", false},
		{on + "StringNotEqualsIgnoreCase 'a-b'", "A-B", false},
		{on + "StringStartsWith 'a-'", "a-", true},
		{on + "StringStartsWith 'a-'", "a", false},
		{on + "StringStartsWithIgnoreCase 'A-'", "a-1", true},
		{on + "StringNotStartsWith 'a-'", "b-1", true},
		{on + "StringNotStartsWithIgnoreCase 'A-'", "a-1", false},
		{on + "StringLike 'a*z'", "a-bcz", true},
		{on + "StringLike 'a*z'", "az", true},
		{on + "StringLike 'a*z'", "azy", false},
		{on + "StringLike 'a?z'", "abz", true},
		{on + "StringLike 'a?z'", "az", false},
		{on + "StringLike '*-*-?'", "x-y-z-0", true},
		{on + "StringLike 'A*'", "abc", false},
		{on + "StringLikeIgnoreCase 'A*'", "abc", true},
		{on + `StringLike 'a\*'`, "ab", false},
		{on + `StringNotLike 'a\?'`, "ab", true},
		{on + "StringNotLike 'a*'", "ab", false},
		{on + "StringNotLikeIgnoreCase 'A*'", "ab", false},
		{on + "StringEquals '*'", "ab", false},
		{on + "StringStartsWith 'a*'", "ab", false},
		{on + "ForAnyOfAnyValues:StringEquals {'a', 'b'}", "b", true},
		{on + "ForAnyOfAnyValues:StringEquals{'a','b'}", "c", false},
		{on + "ForAllOfAnyValues:StringLikeIgnoreCase {'A?','b*'}", "aa", true},
		{on + "ForAnyOfAnyValues:StringEquals 'a'", "a", true},
		{on + "StringEquals {'a'}", "a", true},
		{"!(" + on + "StringEquals 'a')", "b", true},
		{"NOT(" + on + "StringEquals 'a')", "a", false},
		{"NOT NOT !" + on + "StringEquals 'a'", "a", false},
		{on + "StringEquals 'a' OR " + on + "StringEquals 'b' || " + on + "StringEquals 'c'", "c", true},
		{on + "StringStartsWith 'a' AND " + on + "StringLike '*z' && " + on + "StringNotEquals 'az'", "abz", true},
		{on + "StringStartsWith 'a' AND " + on + "StringLike '*z' && " + on + "StringNotEquals 'az'", "az", false},
		{"(" + on + "StringEquals 'a' AND " + on + "StringEquals 'b') OR " + on + "StringEquals 'c'", "c", true},
		{"@resource[x] StringEquals 'a'", "a", false},
		{"ActionMatches{'*/getSecret/*'}", "a", true},
		{"ActionMatches { 'microsoft.keyvault/vaults/SECRETS/*' }", "a", true},
		{"ActionMatches{'*/read'}", "a", false},
		{" \r\n\t@Resource [ microsoft.keyvault/vaults/secrets:NAME ]\nStringEquals\n'a'\n", "a", true},
	} {
		as := at(kv1, secretsUser)
		as.Condition = tt.text
		if got := allows(annCaller(), SecretGet, name(tt.name), roles(as)); got != tt.want {
			t.Errorf("%s with %s: %t", tt.text, tt.name, got)
		}
	}
}

// Acceptance check 9: refused when assigned, and never allowing if stored all the same.
func TestMalformedConditionsAreRefused(t *testing.T) {
	const cmp = "@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'kv1'"
	deep := strings.Repeat("(", maxConditionDepth)
	for _, text := range []string{
		" ", "()", "true", cmp + " AND", cmp + " OR " + cmp + " AND " + cmp, cmp + " && " + cmp + " || " + cmp,
		cmp + " " + cmp, cmp + ")", "(" + cmp, "!(" + cmp, "NOT", "!", "AND " + cmp, cmp + " and " + cmp,
		"ActionMatches", "ActionMatches{", "ActionMatches{''", "ActionMatches{*}", "ActionMatches('*')", "ActionMatches{'*','*'}",
		"!ActionMatchesX{'a'}",
		"@Resource", "@Resource[", "@Resource[Microsoft.KeyVault/vaults:name", "@Resource[Microsoft.KeyVault/vaults:name]",
		"@Resource[Microsoft.KeyVault/vaults:name] StringEquals", "@Resource[Microsoft.KeyVault/vaults:name] StringEquals kv1",
		"@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'kv1", "@Resource[Microsoft.KeyVault/vaults:name] stringequals 'kv1'",
		"@Resource[Microsoft.KeyVault/vaults:name] StringEndsWith '1'", "@Resource[Microsoft.KeyVault/vaults:name] StringEquals {}",
		"@Resource[Microsoft.KeyVault/vaults:name] StringEquals {'a','b'}", "@Resource[Microsoft.KeyVault/vaults:name] StringEquals {'a',}",
		"@Resource[Microsoft.KeyVault/vaults:name] ForAnyOfAnyValues:StringEquals {'a' 'b'}",
		"@Resource[Microsoft.KeyVault/vaults:name] ForSomeOfAnyValues:StringEquals {'a'}",
		"@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'a\x01b'",
		"@Resource[Microsoft.KeyVault/vaults:name] GuidEquals 'kv1'", "@Resource[Microsoft.KeyVault/vaults:name] GuidEquals kv1",
		"@Resource[Microsoft.KeyVault/vaults:name] GuidEqualsIgnoreCase " + ann, "@Resource[Microsoft.KeyVault/vaults:name] GuidEquals " + ann[:35],
		"!@Resource[Microsoft.KeyVault/vaults:colour] StringEquals 'red'", "!@Request[Microsoft.KeyVault/vaults:name] StringEquals 'kv2'",
		"@Principal[x:y] StringEquals 'a'", "@Environment[UtcNow] StringEquals 'a'",
		deep + cmp + strings.Repeat(")", maxConditionDepth), strings.Repeat("!", maxConditionDepth) + cmp,
		cmp + strings.Repeat(" ", maxConditionBytes),
	} {
		if _, err := ParseCondition(text); err == nil {
			t.Errorf("parsed: %.120q", text)
		}
		for _, stored := range []string{text, "!(" + text + ")"} {
			as := at(kv1, secretsUser)
			as.Condition = stored
			if allows(annCaller(), SecretGet, name("db"), roles(as)) {
				t.Errorf("allows: %.120q", stored)
			}
		}
	}
	if _, err := ParseCondition(deep[1:] + cmp + strings.Repeat(")", maxConditionDepth-1)); err != nil {
		t.Errorf("at the bound: %v", err)
	}
	if (Condition{}).holds(&facts{}) {
		t.Error("the zero condition holds")
	}
}

func FuzzParseCondition(f *testing.F) {
	admin, _ := RoleByID(dataAccessAdmin)
	for _, text := range []string{"", onlyTestApp, onlySetApp, onlyProduction, admin.Condition, "!(!(", "@Resource[",
		"@Request[Microsoft.KeyVault/vaults/secrets:name] ForAllOfAnyValues:StringNotLikeIgnoreCase {'a\\*?', 'b'}",
		"@Resource[Microsoft.Authorization/roleAssignments:PrincipalId] GuidEquals " + ann + " && NOT ActionMatches{'*'}"} {
		f.Add(text)
	}
	facts := &facts{action: SecretGet.DataAction()}
	facts.resource[vaultName], facts.resource[secretName] = "kv1", "db"
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text)
		if err != nil {
			if len(err.Error()) > 200 || c.holds(facts) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		// What parses, parses within parentheses, and is the opposite of its negation.
		same, err := ParseCondition("(" + text + ")")
		if err == nil && same.holds(facts) != c.holds(facts) {
			t.Fatalf("%q changes in parentheses", text)
		}
		not, err := ParseCondition("!(" + text + ")")
		if err == nil && not.holds(facts) == c.holds(facts) {
			t.Fatalf("%q is its own negation", text)
		}
	})
}
