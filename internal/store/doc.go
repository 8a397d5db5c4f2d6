// Package store keeps what must outlive the process in an SQL database:
// customers, the ledger of predictions and outcomes, renewals and their steps,
// the record of models, the artifacts of local models and what serves.
//
// Its one type is [Store]. It implements the ports that other packages
// declare: predict.Customers and predict.Ledger, modelswap.Renewals and
// modelswap.Models. [OpenSQLite] opens a file, or makes it, [OpenPostgres] a
// database that several processes share; both bring its tables up to date.
//
//	s, err := store.OpenSQLite(ctx, "gateway-data/gateway.db")
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	err = s.Append(ctx, predictions) // on disk when it returns
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
// Nothing that is written here is on a request's path but outcomes: predictions
// wait on disk (package outbox) and come in batches, some hundreds of rows to a
// statement. A transaction is as long as the slice handed in: whoever loads
// many customers while predictions are served hands them over in pieces of
// thousands, not all at once.
//
// SQLite has one writer at a time, so there the Store has one writing
// connection, and everyone who writes queues for it. Readers have connections
// of their own, opened read-only, and see the last commit before they began.
// They never wait for the writer nor it for them. While a long read runs, such
// as [Store.EachCustomer], SQLite cannot reuse the older part of its
// write-ahead log, so the file beside the database grows; it shrinks again
// afterwards.
//
// PostgreSQL has many writers, in this process and in others. Those who write
// customers, outcomes or which model serves follow each other all the same,
// everywhere: each begins by taking the row that numbers outcomes. So numbers
// become visible in their order, and nobody waits in a circle. Everybody else
// writes side by side.
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
