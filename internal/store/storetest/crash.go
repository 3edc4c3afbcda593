package storetest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"

	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// childEnv names the database that a child process is to write to.
const childEnv = "COFFER_STORETEST_CHILD"

// childVault is the vault that the child writes to.
const childVault = object.VaultID("00000000000000000000000000000001")

// place is what of a store.Config a child needs to know.
type place struct{ Driver, Path, URL string }

// Child makes this process the one that is killed, if it was started as that,
// and does not return then. TestMain calls it first.
func Child() {
	text := os.Getenv(childEnv)
	if text == "" {
		return
	}
	if err := write(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}

// write stores certificates without end, several at a time, and prints the name
// of each when its update has returned. Every fourth is purged again at once,
// which prints its name with a minus in front.
func write(text string) error {
	var p place
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{Driver: p.Driver, Path: p.Path, URL: seal.NewValue([]byte(p.URL))})
	if err != nil {
		return err
	}
	Authenticate(db)
	failed := make(chan error)
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				n := object.MustName(fmt.Sprintf("n-%d-%d", w, i))
				err := db.Update(ctx, func(tx *store.Tx) error { return issued(ctx, tx, childVault, n, 10_000*w+i) })
				if err != nil {
					failed <- err
				}
				fmt.Println(n)
				if i%4 != 3 {
					continue
				}
				fmt.Println("?" + n.String()) // from here on it may be gone
				if err := db.Update(ctx, func(tx *store.Tx) error { return purge(ctx, tx, childVault, n) }); err != nil {
					failed <- err
				}
				fmt.Println("-" + n.String())
			}
		}()
	}
	return <-failed
}

// killed: a process is killed in the middle of writing. Whatever it was told is
// durable is there afterwards, and nothing is torn.
func killed(s *suite) {
	s.update(func(tx *store.Tx) { s.must(insertVault(s.ctx, tx, childVault, "one")) })
	s.must(s.db.Close())
	text, err := json.Marshal(place{s.cfg.Driver, s.cfg.Path, string(s.cfg.URL.Reveal())})
	s.must(err)
	cmd := exec.CommandContext(s.ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	s.must(err)
	s.must(cmd.Start())

	var once sync.Once
	told := map[string]byte{} // by name: '+' stored, '?' perhaps gone, '-' gone
	lines := bufio.NewScanner(out)
	for n := 1; lines.Scan(); n++ {
		switch name := lines.Text(); name[0] {
		case '?', '-':
			told[name[1:]] = name[0]
		default:
			told[name] = '+'
		}
		if n >= 60 {
			once.Do(func() { s.must(cmd.Process.Kill()) })
		}
	}
	_ = cmd.Wait() // killed
	if len(told) < 20 {
		s.Fatalf("the child wrote too little; does TestMain call storetest.Child? %s", stderr.String())
	}

	s.db = Open(s, s.cfg)
	names := s.state(s.db, childVault).Names
	for name, want := range told {
		if _, ok := names[name]; want == '+' && !ok || want == '-' && ok {
			s.Errorf("%s: told %c, there: %v", name, want, ok)
		}
	}
	for _, err := range CheckVault(s.ctx, s.db) {
		s.Error(err)
	}
}
