package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
)

// yesFlag lets a dangerous command go on without asking.
type yesFlag struct {
	Yes bool `short:"y" help:"Do not ask."`
}

// confirm asks a person at a terminal whether to go on; a program must have said so
// by --yes.
func (f yesFlag) confirm(s streams, danger string) error {
	if f.Yes {
		return nil
	}
	unasked := fmt.Errorf("%s: say --yes", danger)
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return unasked
	}
	fmt.Fprintf(s.err, "%s. Go on? [y/N] ", danger)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil { // nobody is there, as with /dev/null
		return unasked
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}
