package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"gateway/internal/predict"
)

const (
	featuresOfOneSQL = `SELECT features FROM customers WHERE id = $1`

	insertCustomerSQL = `
INSERT INTO customers (id, features, label, label_at, demo, outcome)
VALUES ($1, $2, $3, NULL, $4, 0)
ON CONFLICT (id) DO NOTHING`

	makeCustomerSQL = `
INSERT INTO customers (id, features, label, label_at, demo, outcome, origin)
VALUES ($1, $2, NULL, NULL, 0, 0, 'app')
ON CONFLICT (id) DO NOTHING`

	// A label that an outcome set is kept, as is any label if the import has none. The
	// imported label is stored beside it, since models are judged by that.
	updateCustomerSQL = `
UPDATE customers
SET features = $1, demo = $2, origin = 'imported',
    label = CASE WHEN outcome > 0 THEN label ELSE coalesce($3, label) END,
    imported_label = CASE WHEN outcome > 0 THEN coalesce($3, imported_label) END
WHERE id = $4`

	countCustomersSQL = `
SELECT count(*), count(label), count(CASE WHEN demo = 1 THEN 1 END) FROM customers`

	lastNumberSQL = `
SELECT coalesce(max(CAST(id AS BIGINT)), 0) FROM customers
WHERE demo = 0 AND length(id) <= $1 AND ltrim(id, '0123456789') = ''`

	// maxNumberDigits bounds the ids that LastNumber reads, so that they fit an int64.
	maxNumberDigits = 18

	eachCustomerSQL = `
SELECT id, features, label, demo, outcome, ` + evidenceColumns + ` FROM customers ORDER BY id`
)

// idsPerQuery bounds a statement's parameters; SQLite allows 32766 of them.
const idsPerQuery = 512

// Counts are numbers of customers.
type Counts struct {
	Customers int64 // all
	Labelled  int64 // those with a known label
	Demo      int64 // those that were generated
}

// Features returns the stored features of those customers that exist, by id.
// The caller may keep and change the values.
func (s *Store) Features(ctx context.Context, ids []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(ids))
	if len(ids) == 1 { // the usual prediction has a prepared statement
		var features []byte
		switch err := s.featuresOfOne.QueryRowContext(ctx, ids[0]).Scan(&features); err {
		case nil:
			found[ids[0]] = features
			return found, nil
		case sql.ErrNoRows:
			return found, nil
		default:
			return nil, failed("features", err)
		}
	}
	for len(ids) > 0 {
		n := min(len(ids), idsPerQuery)
		if err := s.featuresOfSome(ctx, ids[:n], found); err != nil {
			return nil, failed("features", err)
		}
		ids = ids[n:]
	}
	return found, nil
}

func (s *Store) featuresOfSome(ctx context.Context, ids []string, found map[string][]byte) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	query := `SELECT id, features FROM customers WHERE id IN (` + placeholders(len(ids)) + `)`
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var features []byte
		if err := rows.Scan(&id, &features); err != nil {
			return err
		}
		found[id] = features
	}
	return rows.Err()
}

// placeholders returns "$1, $2, …, $n".
func placeholders(n int) string { return numbered(1, n) }

// numbered returns n placeholders, the first of them with that number.
func numbered(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", first+i)
	}
	return b.String()
}

// customersAtOnce is how many customers one transaction stores.
const customersAtOnce = 64

// PutCustomers stores customers, and returns how many were inserted and how many
// updated. An update replaces the features and the Demo flag. It replaces the label
// if there is one and no outcome has set the stored one. Customer.Outcome is ignored.
//
// Many customers are stored in several transactions, in their order. If there is an
// error, the customers counted were stored, and those after them were not.
func (s *Store) PutCustomers(ctx context.Context, customers []predict.Customer) (inserted, updated int, err error) {
	for start := 0; start < len(customers); start += customersAtOnce {
		end := min(start+customersAtOnce, len(customers))
		w := writing{operation: "put customers", class: classOf(len(customers), bulk), unflushed: end < len(customers), proves: true}
		n, m, err := s.putCustomers(ctx, w, customers[start:end])
		if err != nil {
			return inserted, updated, err
		}
		inserted, updated = inserted+n, updated+m
	}
	return inserted, updated, nil
}

// putCustomers stores customers in one transaction.
func (s *Store) putCustomers(ctx context.Context, w writing, customers []predict.Customer) (inserted, updated int, err error) {
	err = s.inTurn(ctx, w, func(tx *sql.Tx) error {
		// Two transactions that write the same customers in different orders would
		// deadlock: this lock makes them run one after the other.
		if _, err := holdSequence(ctx, tx); err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, insertCustomerSQL)
		if err != nil {
			return err
		}
		defer insert.Close()
		update, err := tx.PrepareContext(ctx, updateCustomerSQL)
		if err != nil {
			return err
		}
		defer update.Close()
		for i := range customers {
			c := &customers[i]
			result, err := insert.ExecContext(ctx, c.ID, string(c.Features), label(c.Label), flag(c.Demo))
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil {
				return err
			} else if n == 1 {
				inserted++
				continue
			}
			if _, err := update.ExecContext(ctx, string(c.Features), flag(c.Demo), label(c.Label), c.ID); err != nil {
				return err
			}
			updated++
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	return inserted, updated, nil
}

const (
	someDemoSQL       = `SELECT id FROM customers WHERE demo = 1 LIMIT $1`
	removeOutcomesSQL = `DELETE FROM outcomes WHERE seq IN (SELECT seq FROM outcomes WHERE customer_id IN (%s) LIMIT %d)`
	removeDemoSQL     = `DELETE FROM customers WHERE id IN (%s)`
)

// RemoveDemo removes the generated customers with their outcomes, and returns how
// many it removed, also with an error. Their predictions stay in the ledger. It
// takes several transactions.
func (s *Store) RemoveDemo(ctx context.Context) (removed int64, err error) {
	for {
		n, done, err := s.removeSomeDemo(ctx)
		removed += n
		if done || err != nil {
			return removed, err
		}
	}
}

// removeSomeDemo removes some outcomes of generated customers, and the customers if
// no outcome of theirs is left.
func (s *Store) removeSomeDemo(ctx context.Context) (removed int64, done bool, err error) {
	err = s.inTurn(ctx, writing{operation: "remove demo customers", class: bulk}, func(tx *sql.Tx) error {
		// No outcome of theirs is recorded meanwhile.
		if _, err := holdSequence(ctx, tx); err != nil {
			return err
		}
		ids, err := someIDs(ctx, tx, someDemoSQL, removedAtOnce)
		if done = len(ids) == 0; done || err != nil {
			return err
		}
		holders := placeholders(len(ids))
		result, err := tx.ExecContext(ctx, fmt.Sprintf(removeOutcomesSQL, holders, removedAtOnce), ids...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n == removedAtOnce || err != nil {
			return err // there may be more outcomes
		}
		if result, err = tx.ExecContext(ctx, fmt.Sprintf(removeDemoSQL, holders), ids...); err != nil {
			return err
		}
		removed, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return removed, done, nil
}

// someIDs returns the ids that the query selects.
func someIDs(ctx context.Context, db queryer, query string, args ...any) (ids []any, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// CountCustomers counts the stored customers.
func (s *Store) CountCustomers(ctx context.Context) (Counts, error) {
	var c Counts
	err := s.read.QueryRowContext(ctx, countCustomersSQL).Scan(&c.Customers, &c.Labelled, &c.Demo)
	return c, failed("count customers", err)
}

// LastNumber returns the highest number that is the id of a customer who was not
// generated, 0 if there is none. A number has at most maxNumberDigits digits.
func (s *Store) LastNumber(ctx context.Context) (last int64, err error) {
	err = s.read.QueryRowContext(ctx, lastNumberSQL, maxNumberDigits).Scan(&last)
	return last, failed("last number", err)
}

// EachCustomer calls fn with each customer, in the order of their ids as the
// database sorts text (SQLite: by bytes). It reads one snapshot, and keeps one
// customer in memory at a time. fn may keep the customer's Features. If fn returns
// an error, EachCustomer returns it unchanged. fn may use the store but must not
// call EachCustomer, since only maxStreams calls run at once.
func (s *Store) EachCustomer(ctx context.Context, fn func(predict.Customer) error) error {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	case <-ctx.Done():
		return failed("each customer", ctx.Err())
	}
	// A single statement reads one snapshot on both engines, without a transaction.
	rows, err := s.read.QueryContext(ctx, eachCustomerSQL)
	if err != nil {
		return failed("each customer", err)
	}
	defer rows.Close()
	for rows.Next() {
		// database/sql checks ctx in another goroutine, which may be late.
		if err := ctx.Err(); err != nil {
			return failed("each customer", err)
		}
		var c predict.Customer
		var y sql.Null[int64]
		var e evidence
		if err := rows.Scan(&c.ID, &c.Features, &y, &c.Demo, &c.Outcome, &e.origin, &e.caller, &e.labelledAt, &e.imported); err != nil {
			return failed("each customer", err)
		}
		c.Label, c.Evidence = fromLabel(y), e.of()
		if err := fn(c); err != nil {
			return err
		}
	}
	return failed("each customer", rows.Err())
}
