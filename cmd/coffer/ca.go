package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"coffer/internal/admin"
)

type caCmd struct {
	Show   caShowCmd   `cmd:"" help:"Show the CAs that clients trust."`
	Rotate caRotateCmd `cmd:"" help:"Make the next CA and put it into tls/ca.crt, beside the current one."`
	Switch caSwitchCmd `cmd:"" help:"Have the listener's certificate issued by the next CA, once clients have tls/ca.crt."`
	Retire caRetireCmd `cmd:"" help:"Take the former CA out of tls/ca.crt, when no client needs it any more."`
}

// Help is the way of a change of CAs.
func (caCmd) Help() string {
	return `The CA of Coffer's own signs the listener's certificate, and may sign no other names than the listener's. To replace it while
clients work: coffer ca rotate; give every client the new tls/ca.crt, which has both; coffer ca switch; some time later coffer ca retire,
and give clients tls/ca.crt again. A new name in tls.names needs a new CA, and so does a CA whose key may have been seen.`
}

type caShowCmd struct{ operatorFlags }

func (c *caShowCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.CAShow, admin.None{}, showCAs)
}

type caRotateCmd struct{ operatorFlags }

func (c *caRotateCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.CARotate, admin.None{}, func(s streams, list []admin.CAView) {
		showCAs(s, list)
		fmt.Fprintln(s.out, "\ntls/ca.crt has both. Give it to every client, and have them read it again; then run: coffer ca switch")
	})
}

type caSwitchCmd struct {
	operatorFlags
	yesFlag
}

func (c *caSwitchCmd) Run(ctx context.Context, s streams) error {
	if err := c.confirm(s, "clients without the new tls/ca.crt will not trust this vault any more"); err != nil {
		return err
	}
	return ask(ctx, s, c.operatorFlags, admin.CASwitch, admin.None{}, func(s streams, list []admin.CAView) {
		showCAs(s, list)
		fmt.Fprintln(s.out, "\nThe listener's certificate is of the current CA. When no client needs the former one any more, run: coffer ca retire")
	})
}

type caRetireCmd struct{ operatorFlags }

func (c *caRetireCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.CARetire, admin.None{}, func(s streams, list []admin.CAView) {
		showCAs(s, list)
		fmt.Fprintln(s.out, "\nGive clients tls/ca.crt once more, so that they trust the current CA alone.")
	})
}

func showCAs(s streams, list []admin.CAView) {
	var rows []string
	for _, a := range list {
		names := strings.Join(a.Names, " ")
		if names == "" {
			names = "any (made before there were constraints: coffer ca rotate)"
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", a.State, strings.TrimPrefix(a.Subject, "CN="), a.NotAfter.Format(time.DateOnly), a.SHA256[:16], names))
	}
	table(s, "STATE\tCA\tEXPIRES\tSHA-256\tMAY SIGN", rows)
}
