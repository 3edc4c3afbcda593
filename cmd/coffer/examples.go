package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// examples are what --help shows of a command beside its flags. The names are those of
// the documents: a vault main, an application web-server.
var examples = map[string][]string{
	"dev": {
		"coffer dev",
		"coffer dev --certificate www.example.test",
		"coffer dev --env-file coffer.env",
		"coffer dev --listen 127.0.0.1:0 -- pytest",
	},
	"init": {
		"coffer init --suffix vault.example.net --vault main",
		"coffer init --data /var/lib/coffer --suffix vault.example.net --vault main --passphrase-file /etc/coffer/passphrase",
		"coffer init --suffix vault.example.net --tls-certificate fullchain.pem --tls-key key.pem",
	},
	"serve":                {"coffer serve --config /var/lib/coffer/coffer.yaml", "coffer serve --check"},
	"cert create":          {"coffer cert create web --dns www.example.test --dns example.test --out web.pem"},
	"cert list":            {"coffer cert list", "coffer cert list --vault-url https://main.vault.example.net:8443 --ca-file ca.crt"},
	"cert show":            {"coffer cert show web", "coffer cert show web --out web.pem"},
	"vault create":         {"coffer vault create main", "coffer vault create keys --sku premium --purge-protection"},
	"vault list":           {"coffer vault list", "coffer vault list --json"},
	"vault show":           {"coffer vault show main"},
	"vault update":         {"coffer vault update main --default-deny --ip-rule 192.0.2.0/24 --ip-rule 198.51.100.7", "coffer vault update main --rbac"},
	"vault delete":         {"coffer vault delete main", "coffer vault delete main --yes"},
	"access set":           {"coffer access set main web-server --certificates get,list --secrets get"},
	"access remove":        {"coffer access remove main web-server"},
	"access list":          {"coffer access list main"},
	"access assign":        {`coffer access assign "Key Vault Certificate User" web-server --vault main`, `coffer access assign "Key Vault Secrets User" web-server --vault main --object secrets/app`},
	"access unassign":      {"coffer access unassign 3f2b8a0e-5c1d-4e7f-9a6b-0d1c2e3f4a5b"},
	"access roles":         {"coffer access roles"},
	"identity create":      {"coffer identity create web-server", "coffer identity create operators --kind group"},
	"identity list":        {"coffer identity list"},
	"identity show":        {"coffer identity show web-server"},
	"identity enable":      {"coffer identity enable web-server"},
	"identity disable":     {"coffer identity disable web-server"},
	"identity delete":      {"coffer identity delete web-server"},
	"identity secret":      {"coffer identity secret web-server --lifetime 90d"},
	"identity header":      {"coffer identity header web-server"},
	"identity certificate": {"coffer identity certificate web-server public.pem"},
	"identity federated":   {"coffer identity federated web-server --issuer https://idp.example.net --subject system:serviceaccount:shop:web"},
	"identity external":    {"coffer identity external --issuer https://idp.example.net --group operators"},
	"identity revoke":      {"coffer identity revoke web-server", "coffer identity revoke 3f2b8a0e-5c1d-4e7f-9a6b-0d1c2e3f4a5b --external"},
	"token keys":           {"coffer token keys"},
	"token rotate-key":     {"coffer token rotate-key"},
	"token revoke-keys":    {"coffer token revoke-keys --yes"},
	"ca show":              {"coffer ca show"},
	"ca rotate":            {"coffer ca rotate"},
	"ca switch":            {"coffer ca switch --yes"},
	"ca retire":            {"coffer ca retire"},
	"upgrade":              {"coffer upgrade", "coffer upgrade --yes"},
	"doctor":               {"coffer doctor", "coffer doctor -o json"},
	"identity forget":      {"coffer identity forget web-server 3f2b8a0e-5c1d-4e7f-9a6b-0d1c2e3f4a5b"},
	"identity join":        {"coffer identity join operators web-server"},
	"identity leave":       {"coffer identity leave operators web-server"},
	"rotate":               {"coffer rotate"},
	"backup":               {"coffer backup /var/backups/coffer.db"},
	"restore":              {"coffer restore /var/backups/coffer.db"},
	"jobs list":            {"coffer jobs list"},
	"jobs retry":           {"coffer jobs retry 3f2b8a0e-5c1d-4e7f-9a6b-0d1c2e3f4a5b"},
	"audit verify":         {"coffer audit verify", "coffer audit verify --with /archive/audit.jsonl-20261201.gz"},
	"audit accept":         {"coffer audit accept"},
	"config accept":        {"coffer config accept"},
	"env":                  {`eval "$(coffer env)"`, "coffer env --shell fish | source", "coffer env --shell powershell | Out-String | Invoke-Expression"},
	"version":              {"coffer version"},
}

// showExamples puts the examples of each command into its help.
func showExamples(app *kong.Application) {
	for _, n := range app.Leaves(false) {
		if lines := examples[command(n)]; len(lines) > 0 {
			n.Detail = strings.TrimSpace(n.Detail + "\n\nFor example:\n\n    " + strings.Join(lines, "\n    "))
		}
	}
}

// command is a command as it is typed, without the program.
func command(n *kong.Node) string {
	var words []string
	for ; n.Type == kong.CommandNode; n = n.Parent {
		words = append([]string{n.Name}, words...)
	}
	return strings.Join(words, " ")
}
