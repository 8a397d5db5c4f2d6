package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// QueryRunner runs the SQL of Athena's queries. Without one, every query fails.
type QueryRunner interface {
	// Run runs a statement: a query with a result, UNLOAD, or a definition of tables,
	// which it keeps. An error of type *QueryError is that of the query. Run returns when
	// ctx ends. It is called by several goroutines at once.
	Run(ctx context.Context, q Query) (QueryResult, error)
}

// Query is a statement and what it may use.
type Query struct {
	SQL      string
	Database string // of the request; may be empty
	S3       *s3.Client
}

// QueryResult is the result of a statement. A definition and UNLOAD have no columns.
type QueryResult struct {
	Columns []QueryColumn
	Rows    [][]*string // a nil cell is NULL
	Files   []string    // s3:// addresses of files that UNLOAD wrote
	Scanned int64       // bytes
}

// QueryColumn is a column of a result.
type QueryColumn struct{ Name, Type string } // of Trino: varchar, bigint, double

// QueryError is the AthenaError of a query.
type QueryError struct {
	ErrorCategory int `json:",omitzero"` // 1: system, 2: user, 3: other
	ErrorType     int
	Retryable     bool
	ErrorMessage  string `json:",omitzero"`
}

// Error implements error.
func (e *QueryError) Error() string { return e.ErrorMessage }

// Categories of QueryError.
const (
	systemError = 1
	userError   = 2
)

// noRunner is the reason of queries on a stand-in without a QueryRunner.
const noRunner = "The sandbox has no engine for SQL: this program was built without one."

// The states of queries.
const (
	queryQueued    = "QUEUED"
	queryRunning   = "RUNNING"
	querySucceeded = "SUCCEEDED"
	queryFailed    = "FAILED"
	queryCancelled = "CANCELLED"
)

// query is a query of Athena. It is queued, then its SQL runs in a goroutine.
type query struct {
	id        string
	in        *startQueryInput
	fault     *Ordered
	state     string
	reason    string
	failure   *QueryError
	result    QueryResult
	submitted time.Time
	begun     time.Time
	ended     time.Time
	work      *queryWork
	stopped   bool
}

// queryWork is the goroutine of a query. The other fields are set when finished is closed.
type queryWork struct {
	finished chan struct{}
	cancel   context.CancelFunc
	result   QueryResult
	err      error
	at       time.Time // zero with a ManualClock
}

func (w *queryWork) done() bool {
	select {
	case <-w.finished:
		return true
	default:
		return false
	}
}

func (q *query) over() bool { return q.state != queryQueued && q.state != queryRunning }

func (q *query) sticks() bool { return q.fault != nil && q.fault.Kind == Stick && q.fault.sticks() }

// settle brings the query to the present. The caller holds the server's lock.
func (q *query) settle(s *Server, now time.Time) {
	if q.state == queryQueued && !now.Before(q.submitted.Add(s.pace.Queued)) {
		q.state, q.begun = queryRunning, q.submitted.Add(s.pace.Queued)
	}
	if q.state != queryRunning {
		return
	}
	if q.work == nil {
		if q.sticks() {
			return // it does nothing until it is released
		}
		q.work = s.startQueryWork(q)
	}
	if due := q.begun.Add(s.pace.Querying); q.work.done() && !now.Before(due) {
		q.end(due)
	}
}

// wants reports whether the query waits for its work alone.
func (q *query) wants(s *Server, now time.Time) bool {
	return q.state == queryRunning && q.work != nil && !q.work.done() && !now.Before(q.begun.Add(s.pace.Querying))
}

// end ends a query whose work is done.
func (q *query) end(due time.Time) {
	w := q.work
	q.ended = due
	if w.at.After(due) {
		q.ended = w.at
	}
	q.result = w.result
	switch {
	case q.stopped && w.err != nil:
		q.cancelled(q.ended)
	case w.err != nil:
		q.state = queryFailed
		if !errors.As(w.err, &q.failure) {
			q.failure = &QueryError{ErrorCategory: systemError, Retryable: true, ErrorMessage: w.err.Error()}
		}
		q.reason = q.failure.ErrorMessage
	default:
		q.state = querySucceeded
	}
}

func (q *query) cancelled(now time.Time) {
	q.state, q.reason, q.ended = queryCancelled, "Query cancelled by user", now
}

// stop cancels a query that has not ended. One that runs ends when its work does, and may
// have succeeded until then.
func (q *query) stop(s *Server) {
	switch {
	case q.over():
	case q.work == nil:
		q.cancelled(s.clock.Now())
	default:
		q.stopped = true
		q.work.cancel()
	}
}

// startQueryWork starts the work of a query.
func (s *Server) startQueryWork(q *query) *queryWork {
	ctx, cancel := context.WithCancel(s.ctx)
	w := &queryWork{finished: make(chan struct{}), cancel: cancel}
	s.work.Go(func() {
		defer close(w.finished)
		defer cancel()
		w.result, w.err = s.runQuery(ctx, q)
		if !s.manual() {
			w.at = s.clock.Now()
		}
	})
	return w
}

// runQuery runs the SQL of a query and writes the files of its result.
func (s *Server) runQuery(ctx context.Context, q *query) (QueryResult, error) {
	ordered := q.orderedFailure()
	if ordered != nil && q.word() != "UNLOAD" {
		return QueryResult{}, ordered
	}
	if s.options.Queries == nil {
		return QueryResult{}, &QueryError{ErrorCategory: userError, ErrorType: 1, ErrorMessage: noRunner}
	}
	result, err := s.options.Queries.Run(ctx, Query{SQL: q.in.QueryString, Database: q.in.QueryExecutionContext.Database, S3: s.s3})
	if ordered != nil {
		return QueryResult{Scanned: result.Scanned}, ordered // UNLOAD leaves the files that it has written
	}
	if err == nil {
		err = s.writeQueryResult(ctx, q, result)
	}
	return result, err
}

// orderedFailure returns the failure that a test ordered. With a Status of 500 or above it
// is one of the system that a second try may not meet.
func (q *query) orderedFailure() error {
	if q.fault == nil || q.fault.Kind != Fail {
		return nil
	}
	e := &QueryError{ErrorCategory: userError, ErrorType: 1, ErrorMessage: cmp.Or(q.fault.Reason, "GENERIC_USER_ERROR: the query failed by order")}
	if q.fault.Status >= 500 {
		e.ErrorCategory, e.ErrorType, e.Retryable = systemError, 0, true
	}
	return e
}

// writeQueryResult writes the files of a result to the output location.
func (s *Server) writeQueryResult(ctx context.Context, q *query, r QueryResult) error {
	bucket, key, _ := bucketOf(q.address())
	files := map[string][]byte{}
	switch {
	case q.word() == "UNLOAD":
		var manifest []byte
		for _, f := range r.Files {
			manifest = append(manifest, f+"\n"...)
		}
		files["-manifest.csv"] = manifest
	case q.kind() == "DML":
		files[".csv"], files[".csv.metadata"] = r.csv(), []byte("metadata\n")
	default:
		files[".txt"] = r.text()
	}
	for _, ending := range sortedKeys(files) {
		if err := s.upload(ctx, bucket, key+ending, files[ending]); err != nil {
			return fmt.Errorf("writing the result to s3://%s/%s%s: %w", bucket, key, ending, err)
		}
	}
	return nil
}
