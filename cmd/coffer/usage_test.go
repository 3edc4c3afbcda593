package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// leaves are all commands, as their words.
func leaves(t *testing.T) [][]string {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.BindTo(t.Context(), (*context.Context)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for _, n := range parser.Model.Leaves(false) {
		all = append(all, strings.Fields(n.FullPath())[1:])
	}
	if len(all) < 30 {
		t.Fatalf("%d commands", len(all))
	}
	return all
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, words := range append(leaves(t), nil, []string{"vault"}, []string{"identity"}) {
		var out, err bytes.Buffer
		if code := run(t.Context(), append(words, "--help"), &out, &err); code != 0 {
			t.Errorf("%v --help: exit code %d: %s", words, code, &err)
		}
		if !strings.HasPrefix(out.String(), "Usage: coffer "+strings.Join(words, " ")) || len(strings.Split(out.String(), "\n\n")) < 3 {
			t.Errorf("%v --help explains nothing:\n%s", words, &out)
		}
	}
}

func TestEveryCommandHasExamplesThatParse(t *testing.T) {
	parser, err := kong.New(&commands{}, kong.BindTo(t.Context(), (*context.Context)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, words := range leaves(t) {
		name := strings.Join(words, " ")
		if len(examples[name]) == 0 {
			t.Errorf("%s has no example", name)
			continue
		}
		seen++
		for _, line := range examples[name] {
			call := regexp.MustCompile(`coffer [^)|]*`).FindString(line)
			var args []string
			for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(strings.TrimSuffix(call, `)"`), -1) {
				args = append(args, m[1]+m[2])
			}
			_, err := parser.Parse(args[1:])
			// Files of the examples are not here.
			if err != nil && !strings.Contains(err.Error(), "no such file") {
				t.Errorf("%s: %v", line, err)
			}
		}
		var out, errs bytes.Buffer
		run(t.Context(), append(words, "--help"), &out, &errs)
		if !strings.Contains(out.String(), "\n    "+examples[name][0]+"\n") {
			t.Errorf("%s --help does not show %s:\n%s", name, examples[name][0], &out)
		}
	}
	if seen != len(examples) {
		t.Errorf("%d of %d examples are of a command that there is", seen, len(examples))
	}
}

func TestWrongCommandLinesAreRefusedWithCode2(t *testing.T) {
	type line struct {
		args []string
		want string
	}
	lines := []line{
		{nil, `expected one of "dev"`},
		{[]string{"nonsense"}, "unexpected argument nonsense"},
		{[]string{"vault"}, `expected one of "create"`},
		{[]string{"vault", "show"}, `expected "<name>"`},
		{[]string{"vault", "create", "x", "--retention-days", "many"}, "--retention-days"},
		{[]string{"vault", "create", "x", "--sku", "gold"}, "--sku must be one of"},
		{[]string{"access", "assign", "Reader", "x"}, "--vault=NAME or --scope=ID"},
		{[]string{"access", "assign", "Reader", "x", "--vault", "v", "--scope", "/"}, "--vault and --scope can't be used together"},
		{[]string{"identity", "create", "x", "--kind", "user"}, "--kind must be one of"},
		{[]string{"identity", "federated", "x"}, "--issuer=URL"},
		{[]string{"identity", "secret", "x", "--lifetime", "soon"}, "--lifetime"},
		{[]string{"identity", "certificate", "x", "/does/not/exist"}, "/does/not/exist"},
		{[]string{"rotate", "--vault", "v"}, "--vault goes with --data-keys"},
		{[]string{"rotate", "--status", "--data-keys"}, "can't be used together"},
		{[]string{"rotate", "--status", "--forget-old"}, "--status changes nothing"},
		{[]string{"rotate", "--data-keys", "--vault", "v", "--forget-old"}, "--forget-old goes without --vault"},
		{[]string{"dev", "--log", "loud"}, "--log must be one of"},
		{[]string{"dev", "--"}, "there is no command after --"},
		{[]string{"audit"}, `expected one of "verify"`},
		{[]string{"audit", "verify", "/does/not/exist"}, "/does/not/exist"},
		{[]string{"audit", "verify", "--since", "x"}, "--since"},
		{[]string{"init"}, "missing flags: --suffix=NAME"},
		{[]string{"env", "--shell", "tcsh"}, "--shell must be one of"},
		{[]string{"vault", "update", "x", "--ip-rule", "192.0.2.1", "--no-ip-rules"}, "--ip-rule and --no-ip-rules can't be used together"},
		{[]string{"cert", "create", "x", "--vault-url", "https://v.localhost", "--key-type", "DSA"}, "--key-type must be one of"},
	}
	for _, words := range leaves(t) {
		if words[0] != "dev" { // its arguments are a command of its own
			lines = append(lines, line{append(words, "--no-such-flag"), "unknown flag --no-such-flag"})
		}
	}
	for _, l := range lines {
		var out, err bytes.Buffer
		code := run(t.Context(), l.args, &out, &err)
		if code != 2 || out.Len() > 0 || !strings.HasPrefix(err.String(), "coffer: ") || !strings.Contains(err.String(), l.want) || strings.Count(err.String(), "\n") != 1 {
			t.Errorf("%q: exit code %d, want 2 and %q\n%s%s", l.args, code, l.want, &out, &err)
		}
	}
}
