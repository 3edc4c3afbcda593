package store

import (
	"context"
	"time"

	"coffer/internal/token"
)

const (
	signingKeyColumns = `id, private, public, created, retire_at`
	insertSigningKey  = `INSERT INTO signing_keys (` + signingKeyColumns + `) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
	listSigningKeys   = `SELECT ` + signingKeyColumns + ` FROM signing_keys /* each row */ ORDER BY created, id`
	deleteSigningKey  = `DELETE FROM signing_keys WHERE id = $1`

	rememberAssertion = `INSERT INTO assertions (id, until) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	forgetAssertions  = `DELETE FROM assertions WHERE until < $1`
)

// InsertSigningKey implements token.Tx.
func (tx *Tx) InsertSigningKey(ctx context.Context, k *token.SigningKey) error {
	return tx.insert(ctx, "InsertSigningKey", insertSigningKey, k.ID, blob(k.Private), blob(k.Public), second(k.Created), second(k.RetireAt))
}

// SigningKeys implements token.Tx.
func (tx *Tx) SigningKeys(ctx context.Context) (list []*token.SigningKey, err error) {
	err = tx.rows(ctx, listSigningKeys, nil, func(s scanner) error {
		k := new(token.SigningKey)
		var created, retire int64
		if err := s.Scan(&k.ID, &k.Private, &k.Public, &created, &retire); err != nil {
			return err
		}
		k.Created, k.RetireAt = fromSecond(created), fromSecond(retire)
		list = append(list, k)
		return nil
	})
	return list, err
}

// DeleteSigningKey implements token.Tx.
func (tx *Tx) DeleteSigningKey(ctx context.Context, id string) error {
	_, err := tx.exec(ctx, "DeleteSigningKey", deleteSigningKey, id)
	return err
}

// RememberAssertion implements authn.Tx.
func (tx *Tx) RememberAssertion(ctx context.Context, id string, until time.Time) (fresh bool, err error) {
	n, err := tx.exec(ctx, "RememberAssertion", rememberAssertion, id, second(until))
	return n == 1, err
}

// ForgetAssertions implements authn.Tx.
func (tx *Tx) ForgetAssertions(ctx context.Context, before time.Time) error {
	_, err := tx.exec(ctx, "ForgetAssertions", forgetAssertions, second(before))
	return err
}
