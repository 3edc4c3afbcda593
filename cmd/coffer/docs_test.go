package main

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// docPages are the pages whose commands run here. In each, what looks like commands (a block
// fenced as sh, or an indented one outside of lists with a command in it) has a comment in the line above it:
//
//	<!-- test: NAME -->              the blocks of one NAME are one script, in their order
//	<!-- test: NAME after OTHER -->  ... which goes on where the script OTHER ended
//	<!-- output: NAME -->            this block is what the one before printed; "..." is anything
//	<!-- not run: WHY -->            it does not run here
//
// Steps that a reader needs not see stand in such a comment themselves:
//
//	<!-- test: NAME
//	test -s file
//	fails grep -q x file
//	-->
//
// The word behind the fence is the shell; sh is run with -eu, as is an indented block.
var docPages = []string{"docs/operation.md", "docs/runbook-compromise.md"}

// docBlock is one block of a page.
type docBlock struct {
	line   int
	kind   string // test, output, not run; "" without a comment
	name   string // of the script
	after  string // the script that comes first
	shell  string
	text   string
	hidden bool
}

// docCommand is what makes an indented block one of commands.
var docCommand = regexp.MustCompile(`(?m)^(\./)?(coffer|systemctl|scripts|go|curl|pip|npm)\b`)

var docNegated = regexp.MustCompile(`(?m)^\s*! `)

var docComment = regexp.MustCompile(`^<!-- (test|output|not run): ?([^\n]*?)( -->)?$`)

// docBlocks reads the blocks of a page.
func docBlocks(t *testing.T, page string) (blocks []docBlock) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var (
		lines   = bufio.NewScanner(f)
		n       int
		comment docBlock // that waits for its block
		before  string
	)
	next := func() bool { n++; return lines.Scan() }
	add := func(b docBlock) { blocks, comment = append(blocks, b), docBlock{} }
	for next() {
		line := lines.Text()
	again:
		if m := docComment.FindStringSubmatch(line); m != nil {
			comment = docBlock{line: n, kind: m[1], name: m[2], shell: "sh"}
			comment.name, comment.after, _ = strings.Cut(comment.name, " after ")
			if m[3] == "" {
				comment.hidden = true
				for next() && lines.Text() != "-->" {
					comment.text += lines.Text() + "\n"
				}
				add(comment)
			}
		} else if fence, ok := strings.CutPrefix(line, "```"); ok {
			b := comment
			b.line, b.shell = n, fence
			for next() && !strings.HasPrefix(lines.Text(), "```") {
				b.text += lines.Text() + "\n"
			}
			if b.kind != "" || fence == "sh" {
				add(b)
			}
		} else if text, ok := strings.CutPrefix(line, "    "); ok && (before == "" || comment.kind != "") {
			b := comment
			b.line, b.shell, b.text = n, "sh", text+"\n"
			more := false
			for next() {
				if more = lines.Text() == "" || strings.HasPrefix(lines.Text(), "    "); !more {
					break
				}
				b.text += strings.TrimPrefix(lines.Text(), "    ") + "\n"
			}
			b.text = strings.TrimRight(b.text, "\n") + "\n"
			if b.kind != "" || docCommand.MatchString(b.text) {
				add(b)
			}
			if before, line = "", lines.Text(); line != "" {
				goto again
			}
		}
		before = line
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return blocks
}

// TestDocs runs the commands of the documents as they are written, by a shell, in a machine of
// their own as far as namespaces give one: with its own /var/lib, /var/backups and /srv, all
// ports free, names that resolve to it, and a systemctl that runs the installation of
// /var/lib/coffer. A script that stops the server runs once more with kill -9 for a stop.
func TestDocs(t *testing.T) {
	for _, page := range docPages {
		blocks := docBlocks(t, page)
		var names []string
		for _, b := range blocks {
			if b.kind == "" {
				t.Errorf("%s:%d: a block of commands without a comment that says what tests it, or why nothing does", page, b.line)
			}
			if b.kind == "test" && docNegated.MatchString(b.text) {
				t.Errorf("%s:%d: a shell does not stop at a line that begins with '!', whatever comes of it: say 'fails ...'", page, b.line)
			}
			if b.kind == "test" && !slices.Contains(names, b.name) {
				names = append(names, b.name)
			}
		}
		if len(names) == 0 {
			t.Errorf("%s has no commands that run", page)
		}
		for _, name := range names {
			script := docScript(t, page, blocks, name, nil)
			stops := []string{"stop"}
			if slices.ContainsFunc(script, func(b docBlock) bool { return strings.Contains(b.text, "systemctl stop") }) {
				stops = append(stops, "kill -9")
			}
			postgres := strings.Contains(name, "PostgreSQL")
			if postgres && testing.Short() { // -short leaves PostgreSQL out
				continue
			}
			for _, stop := range stops {
				t.Run(filepath.Base(page)+"/"+name+"/"+stop, func(t *testing.T) {
					t.Parallel()
					var env []string
					if postgres {
						cluster.Lock() // its database has one name
						defer cluster.Unlock()
						env = postgresBySocket(t)
					}
					runDoc(t, page, script, stop == "kill -9", env...)
				})
			}
		}
	}
}

// docScript is the blocks of one script, after those of the script that it goes on from.
func docScript(t *testing.T, page string, blocks []docBlock, name string, seen []string) (script []docBlock) {
	t.Helper()
	if slices.Contains(seen, name) {
		t.Fatalf("%s: the script %q goes on from itself", page, name)
	}
	for _, b := range blocks {
		if b.name != name || b.kind != "test" && b.kind != "output" {
			continue
		}
		if b.after != "" {
			script = append(script, docScript(t, page, blocks, b.after, append(seen, name))...)
		}
		script = append(script, b)
	}
	if len(script) == 0 {
		t.Fatalf("%s: there is no script %q", page, name)
	}
	return script
}

// docFails is a command for scripts: a shell with -e takes no note of "! command".
const docFails = `fails() { if "$@"; then echo "this does not fail: $*" >&2; exit 1; fi; }
`

// docEnd separates what the blocks print.
const docEnd = "\x01 end of block %d\n"

// runDoc runs a script and compares what its blocks printed with what the page shows.
func runDoc(t *testing.T, page string, script []docBlock, crash bool, env ...string) {
	shell := "sh"
	var text strings.Builder
	for i, b := range script {
		if b.kind == "test" {
			if b.shell != "" {
				shell = b.shell
			}
			fmt.Fprintf(&text, "%s\nprintf '\\001 end of block %%d\\n' %d\n", b.text, i)
		}
	}
	all := text.String()
	if slices.Contains([]string{"sh", "dash", "bash"}, shell) {
		all = docFails + all
	}
	printed := docMachine(t, shell, all, crash, env...)
	rest := printed
	for i, b := range script {
		var part string
		if b.kind == "test" {
			part, rest, _ = strings.Cut(rest, fmt.Sprintf(docEnd, i))
			printed = part
		} else if !docMatch(b.text, printed) {
			t.Errorf("%s:%d shows\n%s\nand this was printed:\n%s", page, b.line, b.text, printed)
		}
	}
}

// docMatch compares what a page shows with what was printed, blanks alike. In what is shown, a
// line "..." stands for any lines and "..." within a line for anything in it.
func docMatch(shown, printed string) bool {
	var pattern strings.Builder
	pattern.WriteString("^")
	for line := range strings.Lines(strings.TrimSpace(shown)) {
		if strings.TrimSpace(line) == "..." {
			pattern.WriteString(`(?:.*\n)*`)
			continue
		}
		for i, part := range strings.Split(strings.Join(strings.Fields(line), " "), "...") {
			if i > 0 {
				pattern.WriteString(".*")
			}
			pattern.WriteString(regexp.QuoteMeta(part))
		}
		pattern.WriteString(`\n`)
	}
	var got strings.Builder
	for line := range strings.Lines(strings.TrimSpace(printed)) {
		got.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return regexp.MustCompile(pattern.String() + "$").MatchString(got.String())
}

// docMachine runs a script in a machine of its own and answers what it printed.
func docMachine(t *testing.T, shell, script string, crash bool, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"bin", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("hosts", "127.0.0.1 localhost login.vault.example.net main.vault.example.net\n", 0o644)
	write("script", script, 0o600)
	write("bin/systemctl", docSystemctl, 0o755)
	write("machine", docNamespaces, 0o600)
	ctx, cancel := context.WithTimeout(t.Context(), 5*deadline)
	defer cancel()
	args := []string{"--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Geteuid() != 0 {
		args = append([]string{"--map-root-user"}, args...)
	}
	cmd := exec.CommandContext(ctx, "unshare", append(args, "sh", "-eu", filepath.Join(dir, "machine"), dir, shell)...)
	cmd.Dir = filepath.Join(dir, "work")
	stop := "TERM"
	if crash {
		stop = "KILL"
	}
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "STOP_SIGNAL="+stop, "SYSTEMD_LOG="+filepath.Join(dir, "log"))
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = deadline
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Fatalf("%v\n%s\n--- it printed\n%s\n--- and\n%s\n--- the server\n%s", err, script, &stdout, &stderr, tail(said))
	}
	return stdout.String()
}

// cluster is held by whoever uses the database coffer of the tests' PostgreSQL.
var cluster sync.Mutex

// postgresBySocket is the environment by which PostgreSQL's programs find the tests' cluster
// from where the network does not reach it.
func postgresBySocket(t *testing.T) []string {
	t.Helper()
	address := os.Getenv("COFFER_TEST_POSTGRES")
	if address == "" {
		t.Fatal("COFFER_TEST_POSTGRES is not set: run the tests as scripts/with-postgres go test ./..., or with -short to leave PostgreSQL out")
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("COFFER_TEST_POSTGRES is no URL")
	}
	out, err := exec.Command("psql", address, "-Atc", "SHOW unix_socket_directories", "-c", "DROP DATABASE IF EXISTS coffer").Output()
	dir, _, _ := strings.Cut(string(out), "\n")
	if err != nil || dir == "" {
		t.Fatalf("the socket of PostgreSQL: %q, %v", out, err)
	}
	password, _ := u.User.Password()
	return []string{"PGHOST=" + dir, "PGPORT=" + u.Port(), "PGUSER=" + u.User.Username(), "PGPASSWORD=" + password}
}

// docNamespaces makes the machine of a script; nothing of it is seen outside.
const docNamespaces = `
dir=$1 shell=$2
ip link set lo up
for folder in /var/lib /var/backups /srv; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mount --bind "$dir/hosts" /etc/hosts
case $shell in
sh | dash | bash) exec "$shell" -eu "$dir/script" ;;
*) exec "$shell" "$dir/script" ;;
esac
`

// docSystemctl is as much of systemctl as the documents use, of the unit coffer. A stop is a
// SIGTERM, or in the second run of a script a kill -9.
const docSystemctl = `#!/bin/sh
set -eu
pid() { cat /var/lib/coffer.pid; }
stop() {
	kill -"$STOP_SIGNAL" "$(pid)"
	while kill -0 "$(pid)" 2>/dev/null; do sleep 0.05; done
	rm /var/lib/coffer.pid
}
start() {
	: >"$SYSTEMD_LOG"
	coffer serve --config /var/lib/coffer/coffer.yaml 2>"$SYSTEMD_LOG" >/dev/null </dev/null &
	echo $! >/var/lib/coffer.pid
	until grep -q '"msg":"serving"' "$SYSTEMD_LOG"; do
		kill -0 "$(pid)" 2>/dev/null || { cat "$SYSTEMD_LOG" >&2; exit 1; }
		sleep 0.05
	done
}
case "$1 ${2-}" in
"start coffer") start ;;
"stop coffer") stop ;;
"restart coffer") stop; start ;;
"kill --signal=HUP") kill -HUP "$(pid)" ;;
*) echo "systemctl $*: this is not the real one" >&2; exit 1 ;;
esac
`

func TestDocMatchTellsWhatDiffers(t *testing.T) {
	for _, c := range []struct {
		shown, printed string
		want           bool
	}{
		{"a  b\nc\n", "a b\nc\n\n", true},
		{"a\n", "a\nb\n", false},
		{"a\n...\n", "a\nb\nc\n", true},
		{"a\n...\nc\n", "a\nc\n", true},
		{"id ... made\n", "id 12 made\n", true},
		{"id ... made\n", "id 12 not\n", false},
		{"a.c\n", "abc\n", false},
	} {
		if got := docMatch(c.shown, c.printed); got != c.want {
			t.Errorf("%q against %q: %t", c.shown, c.printed, got)
		}
	}
}
