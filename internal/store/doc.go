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
// # What it leaves to others
//
// Features, artifacts and the details of steps are text, which it neither reads nor
// checks against a schema. It does not decide when to renew, whether a challenger
// wins or what an HTTP caller sees. The only rules in it are those for labels: which
// outcome counts, and that it counts once. They are at the top of outcomes.go.
//
// # Writing and reading
//
// Requests write outcomes and idempotency keys. Package outbox writes predictions,
// in batches.
//
// Write transactions are small: a call with many rows is divided into transactions
// of a bounded number of rows, and reads that it needs come before the first of
// them. turns.go decides the order of transactions: first those for which a caller
// waits, then lists of outcomes, then imports, the outbox and removals. A call with
// many rows is not atomic. Each of its rows is recorded once, however often the call
// is repeated.
//
// SQLite has one writer at a time, so the Store has one connection for writing.
// Reads have connections of their own, opened read-only, and see the last commit
// before they began. Reads and writes do not wait for each other. While a long read
// runs, such as [Store.EachCustomer], SQLite cannot reuse the older part of its
// write-ahead log, so that file grows; it shrinks again afterwards.
//
// PostgreSQL has many writers, in this process and in others. Transactions that
// write customers, outcomes or which model serves run one after the other, across
// all processes: each begins by locking the row that numbers outcomes. So numbers
// become visible in their order, and these transactions cannot deadlock. All other
// transactions run concurrently.
//
// # Durability
//
// A write that has returned survives a crash of the process and of the machine:
// commits are flushed (SQLite: synchronous=FULL; PostgreSQL: as its server is
// configured, by default flushed). With SQLite, [Line.Append] is the exception: a
// power cut may lose its rows until [Store.Flush] returns.
//
// # SQL
//
// Statements and migrations are the same text for both engines and use only what
// both have: $1 placeholders in order of first use, TEXT, BIGINT and DOUBLE
// PRECISION, ON CONFLICT, RETURNING, partial indexes. Other differences are in
// dialect.go; the insertion of predictions, for speed, is in ledger.go. Times are in
// UTC with the microseconds of PostgreSQL, because the order in which outcomes were
// observed decides which one counts.
package store
