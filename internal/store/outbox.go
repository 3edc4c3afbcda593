package store

import (
	"context"
	"fmt"
	"time"

	"coffer/internal/object"
	"coffer/internal/outbox"
)

const (
	messageColumns = `id, vault, topic, family, name, version, created, data`

	insertMessage = `INSERT INTO outbox (` + messageColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`
	selectMessage = `SELECT ` + messageColumns + ` FROM outbox WHERE id = $1`
	allMessages   = `SELECT ` + messageColumns + ` FROM outbox ORDER BY created, id`
	deleteMessage = `DELETE FROM outbox WHERE id = $1 AND NOT EXISTS (
		SELECT 1 FROM jobs WHERE jobs.vault = outbox.vault AND jobs.ref = outbox.id AND jobs.kind = $2)`
)

var errData = fmt.Errorf("store: the data of a message are longer than %d bytes", outbox.MaxData)

// InsertMessage implements outbox.Tx.
func (tx *Tx) InsertMessage(ctx context.Context, m outbox.Message) error {
	if len(m.Data) > outbox.MaxData {
		return errData
	}
	return tx.insert(ctx, "InsertMessage", insertMessage, m.ID, string(m.Vault), string(m.Topic), string(m.Subject.Family),
		m.Subject.Name.String(), string(m.Subject.Version), m.Created.UnixMilli(), string(m.Data))
}

// Message implements outbox.DeliveryTx.
func (tx *Tx) Message(ctx context.Context, id string) (outbox.Message, error) {
	list, err := tx.messages(ctx, selectMessage, id)
	if err != nil {
		return outbox.Message{}, err
	}
	if len(list) == 0 {
		return outbox.Message{}, object.ErrNotFound
	}
	return list[0], nil
}

// Messages lists every message that is to be told still: for operators and checks.
func (tx *Tx) Messages(ctx context.Context) ([]outbox.Message, error) {
	return tx.messages(ctx, allMessages)
}

// DeleteMessage implements outbox.DeliveryTx.
func (tx *Tx) DeleteMessage(ctx context.Context, id string) error {
	_, err := tx.exec(ctx, "DeleteMessage", deleteMessage, id, string(outbox.DeliverJob))
	return err
}

func (tx *Tx) messages(ctx context.Context, query string, args ...any) (list []outbox.Message, err error) {
	err = tx.rows(ctx, query, args, func(s scanner) error {
		var vault, topic, family, name, version, data string
		var created int64
		m := outbox.Message{}
		if err := s.Scan(&m.ID, &vault, &topic, &family, &name, &version, &created, &data); err != nil {
			return err
		}
		n, err := storedName(name)
		if err != nil {
			return err
		}
		m.Vault, m.Topic, m.Data = object.VaultID(vault), outbox.Topic(topic), []byte(data)
		m.Subject = outbox.Subject{Family: object.Family(family), Name: n, Version: object.Version(version)}
		m.Created = time.UnixMilli(created).UTC()
		list = append(list, m)
		return nil
	})
	return list, err
}
