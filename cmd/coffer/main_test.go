package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain puts a program named coffer, which is this test binary, into PATH.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"coffer": main})
}

// deadline bounds every wait for another process; on a busy machine a start can
// take seconds.
const deadline = 60 * time.Second

// until polls a condition.
func until(t interface{ Fatalf(string, ...any) }, what string, ok func() bool) {
	for end := time.Now().Add(deadline); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", deadline, what)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"appears": appears, "mode": mode, "source": source, "keys": keys, "keep": keep, "keepline": keepLine,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// appears waits for a file.
func appears(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, args[0], func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil
	})
}

// mode compares the permissions of files: mode 600 FILE...
func mode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := info.Mode().Perm(); got != os.FileMode(want) {
			ts.Fatalf("%s has mode %o, want %o", name, got, want)
		}
	}
}

// source takes the variables of an environment file over.
func source(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		ts.Setenv(name, value)
	}
}

// keys compares the names of a JSON object's members, or those of the first
// object of a list, in their order: keys stdout NAME...
func keys(ts *testscript.TestScript, _ bool, args []string) {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	next := func() json.Token {
		tok, err := dec.Token()
		ts.Check(err)
		return tok
	}
	if next() == json.Delim('[') {
		if tok := next(); tok != json.Delim('{') {
			ts.Fatalf("the list begins with %v", tok)
		}
	}
	var got []string
	for dec.More() {
		got = append(got, next().(string))
		var skip json.RawMessage
		ts.Check(dec.Decode(&skip))
	}
	if d := cmp.Diff(args[1:], got); d != "" {
		ts.Fatalf("members (-want +got)\n%s", d)
	}
}

// keepLine stores a file in a variable: keepline VARIABLE stdout
func keepLine(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// keep stores a member of a JSON object, or of the named object of a list, in a
// variable: keep VARIABLE stdout MEMBER [NAME]
func keep(ts *testscript.TestScript, _ bool, args []string) {
	raw := []byte(ts.ReadFile(args[1]))
	objects := make([]map[string]any, 1)
	if bytes.HasPrefix(raw, []byte("[")) {
		ts.Check(json.Unmarshal(raw, &objects))
	} else {
		ts.Check(json.Unmarshal(raw, &objects[0]))
	}
	i := 0
	if len(args) > 3 {
		i = slices.IndexFunc(objects, func(o map[string]any) bool { return o["name"] == args[3] })
	}
	if i < 0 || i >= len(objects) {
		ts.Fatalf("there is no such object")
	}
	value, ok := objects[i][args[2]].(string)
	if !ok {
		ts.Fatalf("%s is not a text", args[2])
	}
	ts.Setenv(args[0], value)
}
