// Package store keeps what must outlive the process in an SQL database:
// customers, the ledger of predictions and outcomes, renewals and their steps,
// the record of models, the artifacts of local models and what serves.
//
// A [Store] is a database, and a [Line] the rows in it that belong to the model of
// one schema. They implement the ports that other packages declare, such as
// predict.Customers and modelswap.Renewals. [OpenSQLite] opens a file, or makes it,
// [OpenPostgres] a database that several processes share; both bring its tables up
// to date.
//
//	s, err := store.OpenSQLite(ctx, "gateway-data/gateway.db")
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	line, err := s.OpenLine(ctx, "bank")
//	if err != nil {
//		return err
//	}
//	err = line.Append(ctx, predictions)
//
// # What it refuses to know
//
// Features, artifacts and the details of steps are text to it; it neither
// checks features against a schema nor reads them. It does not decide when to
// renew, whether a challenger wins or what an HTTP caller sees. It holds no
// policy but the rules for labels: which outcome counts, and that it counts
// once. They head the file outcomes.go.
//
// # Writing and reading
//
// Requests write outcomes and idempotency keys. Predictions wait on disk
// (package outbox) and come in batches.
//
// Every write transaction is small: a call that brings many rows is cut into
// transactions of a bounded number, and what can be found out by reading is
// read before the first of them begins. Transactions take turns, which the file
// turns.go hands out: what a caller waits for comes first, then lists of
// outcomes, then imports, the outbox and removals. So a call of many rows is not
// all or nothing. Each of its rows is recorded once, however often the call is
// repeated.
//
// SQLite has one writer at a time, so there the Store has one writing
// connection. Readers have connections
// of their own, opened read-only, and see the last commit before they began.
// They never wait for the writer nor it for them. While a long read runs, such
// as [Store.EachCustomer], SQLite cannot reuse the older part of its
// write-ahead log, so the file beside the database grows; it shrinks again
// afterwards.
//
// PostgreSQL has many writers, in this process and in others. Transactions that
// write customers, outcomes or which model serves follow each other all the
// same, everywhere: each begins by taking the row that numbers outcomes. So
// numbers become visible in their order, and no two transactions wait for each
// other. All others run side by side.
//
// # Durability
//
// A write that has returned survives the death of the process, and also of the
// machine: every commit is flushed (SQLite: synchronous=FULL; PostgreSQL: as
// its server is set, and by default it is).
//
// # SQL
//
// The statements and migrations are one text for both engines and use only what
// these have in common: $1 placeholders in order of first use, TEXT, BIGINT and
// DOUBLE PRECISION, ON CONFLICT, RETURNING, partial indexes. What they do not
// have in common is in dialect.go. Times are kept in UTC to
// the microsecond, the resolution of PostgreSQL, because the order in which
// outcomes were observed decides which one counts.
package store
