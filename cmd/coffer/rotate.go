package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/admin"
)

type rotateCmd struct {
	operatorFlags
	yesFlag
	DataKeys  bool   `help:"Give the data keys a successor instead, and have what they sealed sealed again." xor:"what"`
	Status    bool   `help:"Show the data keys, and what is left to be sealed again." xor:"what"`
	Vault     string `help:"With --data-keys: that of this vault only." placeholder:"NAME"`
	ForgetOld bool   `help:"Forget the keys before: of the root key, copies of the database from before do not open any more; with --data-keys, backups of single objects from before do not restore any more."`
}

// Help is what --help says besides.
func (*rotateCmd) Help() string {
	return `The root key, in its file or in the HSM, wraps the data keys; one data key for each vault seals what is in it. Without a flag
the root key is replaced: quick, and enough after a copy of the root key file may have been seen. Whoever has seen the database too may
have the data keys: replace those as well, with --data-keys. New values are sealed by the new keys at once. The running server seals the
old ones again in the background, and then destroys the old keys; --status shows how far it is.`
}

// Validate refuses flags that do not go together.
func (c *rotateCmd) Validate() error {
	switch {
	case c.Vault != "" && !c.DataKeys:
		return errors.New("--vault goes with --data-keys: the root key is that of all vaults")
	case c.Vault != "" && c.ForgetOld:
		return errors.New("--forget-old goes without --vault: backups of objects have one data key for all vaults")
	case c.Status && c.ForgetOld:
		return errors.New("--status changes nothing: leave --forget-old out")
	}
	return nil
}

func (c *rotateCmd) Run(ctx context.Context, s streams) error {
	if c.ForgetOld {
		lost := "copies of the database"
		if c.DataKeys {
			lost = "backups of single objects"
		}
		if err := c.confirm(s, lost+" from before can never be opened again without a copy of the old keys"); err != nil {
			return err
		}
	}
	switch {
	case c.Status:
		return ask(ctx, s, c.operatorFlags, admin.RotateStatus, admin.None{}, showDataKeys)
	case c.DataKeys:
		return ask(ctx, s, c.operatorFlags, admin.RotateDataKeys, admin.DataKeyRotation{Vault: c.Vault, ForgetOld: c.ForgetOld}, func(s streams, r admin.DataKeysRotated) {
			fmt.Fprintf(s.out, "%s replaced; %s to be sealed again by the running server, after which the old keys are destroyed: see coffer rotate --status\n",
				count(r.DataKeys, "data key"), count(int(r.Boxes), "value"))
		})
	}
	return ask(ctx, s, c.operatorFlags, admin.Rotate, admin.Rotation{ForgetOld: c.ForgetOld}, func(s streams, r admin.Rotated) {
		advice := "copy the root key file again"
		if r.InHSM {
			advice = "back the HSM up again"
		}
		fmt.Fprintf(s.out, "root key %s now wraps %s; %s\n", r.RootKey, count(r.DataKeys, "data key"), advice)
	})
}

// showDataKeys prints the data keys, and how many values have a new one.
func showDataKeys(s streams, list []admin.DataKeyView) {
	var rows []string
	for _, k := range list {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%d", k.Scope, k.ID, k.Created.Format(time.RFC3339), stateOf(k), k.Sealed))
	}
	table(s, "SCOPE\tDATA KEY\tCREATED\tSTATE\tSEALED AT MOST", rows)
}

func stateOf(k admin.DataKeyView) string {
	switch k.State {
	case "replaced", "closed":
		return fmt.Sprintf("%s, %d of %d sealed again", k.State, k.Total-k.Left, k.Total)
	case "kept":
		return "kept for backups of objects"
	}
	return k.State
}
