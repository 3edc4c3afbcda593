package store

import (
	"context"
	"database/sql"

	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/seal"
)

const (
	putOperation = `INSERT INTO certificate_operations (vault, name, request_id, status, cancel, error, policy, issuer,
			preserve_order, enabled, tags, created, updated, csr, public, private, hsm_id, order_state, order_step, order_look)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		ON CONFLICT (vault, name) DO UPDATE SET request_id = excluded.request_id, status = excluded.status,
			cancel = excluded.cancel, error = excluded.error, policy = excluded.policy, issuer = excluded.issuer,
			preserve_order = excluded.preserve_order, enabled = excluded.enabled, tags = excluded.tags,
			created = excluded.created, updated = excluded.updated, csr = excluded.csr, public = excluded.public,
			private = excluded.private, hsm_id = excluded.hsm_id, order_state = excluded.order_state,
			order_step = excluded.order_step, order_look = excluded.order_look`

	selectOperation = `SELECT h.display, o.request_id, o.status, o.cancel, o.error, o.policy, o.issuer, o.preserve_order,
			o.enabled, o.tags, o.created, o.updated, o.csr, o.public, o.private, o.hsm_id, o.order_state, o.order_step, o.order_look
		FROM certificate_operations o JOIN certificates h ON h.vault = o.vault AND h.name = o.name
		WHERE o.vault = $1 AND o.name = $2`

	deleteOperation = `DELETE FROM certificate_operations WHERE vault = $1 AND name = $2`
)

// operationFailure is the error column of an operation (stored shapes: column.go).
type operationFailure struct {
	Code    string `json:"Code"`
	Message string `json:"Message"`
}

// Operation implements issuance.Tx.
func (tx *Tx) Operation(ctx context.Context, v object.VaultID, n object.Name) (*issuance.Operation, error) {
	op := &issuance.Operation{Vault: v}
	var display, status, failure, policy, issuer, tags string
	var created, updated int64
	var private, inHSM, order []byte
	var look sql.NullInt64
	err := tx.row(ctx, selectOperation, []any{string(v), n.Key()},
		&display, &op.RequestID, &status, &op.CancellationRequested, &failure, &policy, &issuer, &op.PreserveOrder,
		&op.Enabled, &tags, &created, &updated, &op.CSR, &op.Public, &private, &inHSM, &order, &op.OrderStep, &look)
	if err != nil {
		return nil, err
	}
	if op.Name, err = storedName(display); err != nil {
		return nil, err
	}
	op.Status = issuance.Status(status)
	op.Private, op.Order, op.OrderLook = seal.Box(private), seal.Box(order), fromNullMilli(look)
	if op.HSM, err = fromHSM(inHSM); err != nil {
		return nil, err
	}
	op.Created, op.Updated = fromSecond(created), fromSecond(updated)
	var storedPolicy *issuance.StoredPolicy
	var storedIssuer issuance.StoredIssuer
	var storedFailure *operationFailure
	for _, c := range []struct {
		column string
		into   any
	}{{failure, &storedFailure}, {policy, &storedPolicy}, {issuer, &storedIssuer}, {tags, &op.Tags}} {
		if err := fromJSON(c.column, c.into); err != nil {
			return nil, err
		}
	}
	op.Error, op.Policy, op.Spec = (*issuance.OperationError)(storedFailure), storedPolicy.Policy(), issuance.IssuerRef(storedIssuer)
	return op, nil
}

// PutOperation implements issuance.Tx; object.ErrNotFound when the name has no
// certificate.
func (tx *Tx) PutOperation(ctx context.Context, op *issuance.Operation) error {
	var columns [4]string
	for i, v := range []any{(*operationFailure)(op.Error), op.Policy.Stored(), issuance.StoredIssuer(op.Spec), op.Tags} {
		var err error
		if columns[i], err = toJSON(v); err != nil {
			return err
		}
	}
	_, err := tx.exec(ctx, "PutOperation", putOperation, string(op.Vault), op.Name.Key(), op.RequestID,
		string(op.Status), op.CancellationRequested, columns[0], columns[1], columns[2], op.PreserveOrder, op.Enabled,
		columns[3], second(op.Created), second(op.Updated), blob(op.CSR), blob(op.Public), blob(op.Private), hsmColumn(op.HSM),
		blob(op.Order), op.OrderStep, milliOrNull(op.OrderLook))
	return err
}

// DeleteOperation implements issuance.Tx.
func (tx *Tx) DeleteOperation(ctx context.Context, v object.VaultID, n object.Name) error {
	_, err := tx.exec(ctx, "DeleteOperation", deleteOperation, string(v), n.Key())
	return err
}
