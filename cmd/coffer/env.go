package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"coffer/internal/config"
)

// variable is one line of the environment of clients.
type variable struct{ name, value string }

// environment is what a client on this machine needs. bundle has the vault's CA and
// those of the system: some clients trust what the variable names and nothing else.
func environment(settings *config.Config, address net.Addr, caFile, bundle string, who *administrator) []variable {
	_, port, _ := net.SplitHostPort(address.String())
	authority := "https://localhost:" + port
	if settings.URL != "" {
		authority = settings.URL
	}
	return []variable{
		{"VAULT_URL", "https://" + devVault + "." + devSuffix + ":" + port},
		{"AZURE_KEYVAULT_NAME", devVault}, // what samples put before .vault.azure.net
		{"CA_FILE", caFile},
		{"SSL_CERT_FILE", bundle},
		{"REQUESTS_CA_BUNDLE", bundle},
		{"NODE_EXTRA_CA_CERTS", caFile}, // which adds to Node's own
		{"IDENTITY_ENDPOINT", authority + "/msi/token"},
		{"IDENTITY_HEADER", who.IdentityHeader},
		{"AZURE_AUTHORITY_HOST", authority},
		{"AZURE_TENANT_ID", "adfs"},
		{"AZURE_CLIENT_ID", who.ClientID},
		{"AZURE_CLIENT_SECRET", who.ClientSecret},
	}
}

// devEnvironment is the file in the folder of a development vault that has the
// environment of its clients while the vault answers.
const devEnvironment = "client.env"

// plain is the environment as NAME=value lines, which "set -a", systemd and
// containers read.
func plain(env []variable) []byte {
	var b bytes.Buffer
	for _, v := range env {
		fmt.Fprintf(&b, "%s=%s\n", v.name, v.value)
	}
	return b.Bytes()
}

// shells are the forms that a shell takes pasted.
var shells = map[string]func(v variable) string{
	"sh": func(v variable) string {
		return "export " + v.name + "='" + strings.ReplaceAll(v.value, "'", `'\''`) + "'"
	},
	"fish": func(v variable) string { return "set -gx " + v.name + " '" + fishQuotes.Replace(v.value) + "'" },
	"powershell": func(v variable) string {
		return "$env:" + v.name + " = '" + strings.ReplaceAll(v.value, "'", "''") + "'"
	},
}

var fishQuotes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// forShell is the environment as that shell takes it.
func forShell(shell string, env []variable) string {
	var b strings.Builder
	for _, v := range env {
		b.WriteString(shells[shell](v) + "\n")
	}
	return b.String()
}

// readEnvironment reads NAME=value lines.
func readEnvironment(path string) (env []variable, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if !ok {
			return nil, fmt.Errorf("%s has a line that is not NAME=value", path)
		}
		env = append(env, variable{name, value})
	}
	return env, nil
}

type envCmd struct {
	Shell string `help:"Form of the lines: sh, fish, powershell, or plain NAME=value." enum:"sh,fish,powershell,plain" default:"sh"`
	File  string `arg:"" optional:"" help:"Environment file (default: that of the running vault in coffer-data)." type:"path"`
}

// Help shows how the command is used.
func (envCmd) Help() string {
	return "What it prints holds secrets."
}

func (c *envCmd) Run(s streams) error {
	if c.File == "" {
		c.File = filepath.Join(defaultData, devEnvironment)
	}
	env, err := readEnvironment(c.File)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there: start a vault with 'coffer dev', or name the file that --env-file wrote", c.File)
	}
	if err != nil {
		return err
	}
	if c.Shell == "plain" {
		_, err = s.out.Write(plain(env))
		return err
	}
	_, err = fmt.Fprint(s.out, forShell(c.Shell, env))
	return err
}

// systemRoots are where systems keep the CAs that everybody trusts, as one PEM file.
var systemRoots = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
	"/etc/ssl/ca-bundle.pem",             // openSUSE
	"/etc/ssl/cert.pem",                  // Alpine, macOS, BSD
}

// writeBundle writes the system's CAs and the vault's own into one file. A system
// without any is left with the vault's own.
func writeBundle(path, caFile string) error {
	all, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	for _, file := range systemRoots {
		if roots, err := os.ReadFile(file); err == nil {
			all = append(append(all, '\n'), roots...)
			break
		}
	}
	return writePrivate(path, all)
}
