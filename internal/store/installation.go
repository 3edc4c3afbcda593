package store

import "context"

const (
	allInstallation = `SELECT name, value FROM installation`
	setInstallation = `INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// Installation is what is kept of the whole installation, by name.
func (tx *Tx) Installation(ctx context.Context) (map[string]string, error) {
	kept := map[string]string{}
	err := tx.rows(ctx, allInstallation, nil, func(s scanner) error {
		var name, value string
		if err := s.Scan(&name, &value); err != nil {
			return err
		}
		kept[name] = value
		return nil
	})
	return kept, err
}

// SetInstallation keeps a value in the place of the one before.
func (tx *Tx) SetInstallation(ctx context.Context, name, value string) error {
	_, err := tx.exec(ctx, "SetInstallation", setInstallation, name, value)
	return err
}
