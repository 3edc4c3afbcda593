package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"coffer/internal/audit"
	"coffer/internal/config"
	"coffer/internal/store"
)

// ErrTenant reports a configuration with another tenant than the installation's, by whose
// tokens nobody would be let in.
var ErrTenant = errors.New("the tenant of the configuration is not the installation's")

// change is a setting that clients go by, and that is not what it was.
type change struct{ setting, was, is string }

func (c change) String() string {
	return fmt.Sprintf("%s was %q, and is %q now", c.setting, c.was, c.is)
}

// inForce are the settings that clients go by, as the installation keeps them.
func inForce(c *config.Config) []change {
	return []change{
		{setting: "tenant", is: strings.ToLower(c.Tenant)},
		{setting: "suffix", is: c.Suffix},
		{setting: "url", is: strings.TrimSuffix(c.URL, "/")},
		{setting: "default_vault", is: strings.ToLower(c.DefaultVault)},
	}
}

// changedSettings compares the settings with those that were in force: ErrTenant, or what
// else is changed. known is false in an installation that has kept none yet.
func changedSettings(ctx context.Context, db *store.DB, c *config.Config) (changed []change, known bool, err error) {
	var kept map[string]string
	err = db.View(ctx, func(tx *store.Tx) (err error) {
		kept, err = tx.Installation(ctx)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if _, known = kept["tenant"]; !known {
		return nil, false, nil
	}
	for _, s := range inForce(c) {
		if s.was = kept[s.setting]; s.was == s.is {
			continue
		}
		if s.setting == "tenant" {
			return nil, true, fmt.Errorf("%w: it was %s, and vaults, rights and backups are bound to it. Put that back into %s", ErrTenant, s.was, config.FileName)
		}
		changed = append(changed, s)
	}
	return changed, true, nil
}

// checkSettings keeps the settings at the first start, and afterwards warns of a changed
// one until AcceptSettings.
func (d *Daemon) checkSettings(ctx context.Context) error {
	changed, known, err := changedSettings(ctx, d.db, d.settings)
	if err == nil && !known {
		err = keepSettings(ctx, d.db, d.settings)
	}
	for _, c := range changed {
		d.log.WarnContext(ctx, settingsAdvice, "changed", c.String())
	}
	return err
}

const settingsAdvice = "a setting that clients go by is changed, and who used the old one is locked out;" +
	" put it back, or run 'coffer config accept'"

func keepSettings(ctx context.Context, db *store.DB, c *config.Config) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		for _, s := range inForce(c) {
			if err := tx.SetInstallation(ctx, s.setting, s.is); err != nil {
				return err
			}
		}
		return nil
	})
}

// AcceptSettings puts the settings in force that a start warns of, as the one named, and
// answers which are changed. The tenant cannot be: ErrTenant. While a server runs with
// SQLite it answers store.ErrInUse.
func AcceptSettings(ctx context.Context, settings *config.Config, by audit.Claims, log *slog.Logger) (changed []string, err error) {
	d := &Daemon{settings: settings, log: log, now: time.Now}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.openStore(ctx); err != nil {
		return nil, err
	}
	list, _, err := changedSettings(ctx, d.db, settings)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	for _, c := range list {
		changed = append(changed, c.String())
	}
	if err := d.openAudit(nil); err != nil {
		return nil, err
	}
	if err := d.audit.RecordSettings(ctx, strings.Join(changed, "; ")+".", by); err != nil {
		return nil, err
	}
	return changed, keepSettings(ctx, d.db, settings)
}
