package store

import (
	"context"
	"database/sql"

	"gateway/internal/predict"
)

// evidenceColumns are read into an evidence, in its order.
const evidenceColumns = `origin, coalesce(caller, ''), labelled_at, imported_label`

// originApp is the origin of a customer made from a prediction and its outcome.
const originApp = "app"

// evidence is what a row of customers says about where its values come from.
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

// MarkImported notes that customers whom a prediction made known here are
// imported ones elsewhere, each with the label that was imported there, nil for
// none. It leaves an imported label that is known.
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
