package store

import (
	"context"
	"database/sql"

	"gateway/internal/predict"
)

// evidenceColumns are the columns of evidence, in the order of its fields.
const evidenceColumns = `origin, coalesce(caller, ''), labelled_at, imported_label`

// originApp is the origin of a customer made from a prediction and its outcome.
const originApp = "app"

// evidence is the origin of the values in a row of customers.
type evidence struct {
	origin, caller       string
	labelledAt, imported sql.Null[int64]
}

func (e *evidence) of() predict.Evidence {
	out := predict.Evidence{Made: e.origin == originApp, Caller: e.caller, Imported: fromLabel(e.imported)}
	if e.labelledAt.Valid {
		out.LabelledAt = fromMicros(e.labelledAt.V)
	}
	return out
}

// MarkImported records that customers who were made from predictions here have been
// imported elsewhere, each with the label imported there; nil: none. It keeps an
// imported label that is recorded already.
func (s *Store) MarkImported(ctx context.Context, customers []predict.Customer) error {
	const markSQL = `UPDATE customers SET origin = 'imported', imported_label = coalesce(imported_label, $1) WHERE id = $2`
	return s.inWrite(ctx, "mark imported customers", func(tx *sql.Tx) error {
		if _, err := holdSequence(ctx, tx); err != nil { // as PutCustomers does
			return err
		}
		for i := range customers {
			if _, err := tx.ExecContext(ctx, markSQL, label(customers[i].Imported), customers[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
}
