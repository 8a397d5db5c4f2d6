package aws

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"

	"gateway/internal/modelswap"
)

// AthenaSettings say where queries run and where their results go.
type AthenaSettings struct {
	Workgroup string // empty: Athena's workgroup primary
	Database  string // of the Glue catalog; empty: default
	Output    string // s3:// address of results; empty: that of the workgroup
}

// Athena runs SQL in Athena. A query runs for seconds to minutes and survives the process
// that started it: Start it under a token, and the same token finds it again.
type Athena struct {
	api         *Clients
	settings    AthenaSettings
	first, most time.Duration // between two polls of Wait
}

// Bounds of the time between two polls of Wait. A small query takes about a second.
const (
	firstQueryPoll = 250 * time.Millisecond
	maxQueryPoll   = 5 * time.Second
)

// NewAthena makes a client of Athena.
func NewAthena(api *Clients, settings AthenaSettings) *Athena {
	return &Athena{api: api, settings: settings, first: firstQueryPoll, most: maxQueryPoll}
}

// Bounds of Athena's API reference.
const (
	maxQueryBytes                = 262_144
	minTokenBytes, maxTokenBytes = 32, 128
)

// Start starts a query and returns its id. The token, of 32 to 128 characters, stands for
// the query: with the same token and the same text Athena returns the id of the query that
// it has already started, and runs nothing. Another text under the same token is an error.
func (a *Athena) Start(ctx context.Context, sql, token string) (id string, err error) {
	return a.startTo(ctx, sql, token, a.settings.Output)
}

// startTo is Start with an address for the result; empty: that of the workgroup.
func (a *Athena) startTo(ctx context.Context, sql, token, output string) (id string, err error) {
	if len(sql) > maxQueryBytes {
		return "", &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf("the query has %d bytes; Athena takes %d", len(sql), maxQueryBytes)}
	}
	if len(token) < minTokenBytes || len(token) > maxTokenBytes {
		return "", &modelswap.Fault{Class: modelswap.Bug, Err: fmt.Errorf("the token of a query has %d characters, not %d to %d", len(token), minTokenBytes, maxTokenBytes)}
	}
	input := &athena.StartQueryExecutionInput{QueryString: &sql, ClientRequestToken: &token}
	if a.settings.Workgroup != "" {
		input.WorkGroup = &a.settings.Workgroup
	}
	if a.settings.Database != "" {
		input.QueryExecutionContext = &types.QueryExecutionContext{Database: &a.settings.Database}
	}
	if output != "" {
		input.ResultConfiguration = &types.ResultConfiguration{OutputLocation: &output}
	}
	out, err := a.api.athena.StartQueryExecution(ctx, input)
	if err != nil {
		return "", fault("StartQueryExecution", err)
	}
	return sdk.ToString(out.QueryExecutionId), nil
}

// QueryStatus is the state of a query.
type QueryStatus struct {
	Done    bool          // it has ended, well or not
	Err     error         // why it failed, a *modelswap.Fault; nil: it runs or has succeeded
	Scanned int64         // bytes that it has read, which Athena charges for
	Took    time.Duration // in the queue too
}

// Status returns the state of a query. A query that failed is QueryStatus.Err; the error
// that Status returns is of the call.
func (a *Athena) Status(ctx context.Context, id string) (QueryStatus, error) {
	q, err := a.describe(ctx, id)
	if err != nil {
		return QueryStatus{}, err
	}
	var s QueryStatus
	if q.Statistics != nil {
		s.Scanned = sdk.ToInt64(q.Statistics.DataScannedInBytes)
		s.Took = time.Duration(sdk.ToInt64(q.Statistics.TotalExecutionTimeInMillis)) * time.Millisecond
	}
	if q.Status == nil {
		return s, fault("GetQueryExecution", fmt.Errorf("query %s has no status", id))
	}
	switch q.Status.State {
	case types.QueryExecutionStateSucceeded:
		s.Done = true
	case types.QueryExecutionStateFailed, types.QueryExecutionStateCancelled:
		s.Done, s.Err = true, queryFault(id, q.Status)
	}
	return s, nil // else QUEUED or RUNNING; a running query may be queued again
}

func (a *Athena) describe(ctx context.Context, id string) (*types.QueryExecution, error) {
	out, err := a.api.athena.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: &id})
	if err != nil {
		return nil, fault("GetQueryExecution", err)
	}
	if out.QueryExecution == nil {
		return nil, fault("GetQueryExecution", fmt.Errorf("the answer has no query %s", id))
	}
	return out.QueryExecution, nil
}

// systemCategory is the AthenaError.ErrorCategory of faults of the service.
const systemCategory = 1

// queryFault classifies a query that did not succeed: a fault of the service passes, and
// so does what Athena calls retryable. Anything else needs another query or other data.
// Athena's texts name columns and files and no values of our queries, which cast with TRY.
func queryFault(id string, status *types.QueryExecutionStatus) error {
	reason := strings.TrimSpace(sdk.ToString(status.StateChangeReason))
	if status.State == types.QueryExecutionStateCancelled {
		return &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf("query %s was cancelled: %s", id, orUnknown(&reason))}
	}
	class := modelswap.Input
	if e := status.AthenaError; e != nil {
		if reason == "" {
			reason = sdk.ToString(e.ErrorMessage)
		}
		if e.Retryable || sdk.ToInt32(e.ErrorCategory) == systemCategory {
			class = modelswap.Transient
		}
	}
	if isThrottleReason(reason) {
		class = modelswap.Throttled
	}
	return &modelswap.Fault{Class: class, Err: fmt.Errorf("query %s failed: %s", id, orUnknown(&reason))}
}

// throttleReasons are parts of the reasons of queries that a service throttled while they
// ran: S3 by its rate of requests to a prefix, Glue, and Athena itself.
var throttleReasons = []string{"SlowDown", "Slow Down", "Rate exceeded", "TooManyRequests", "ThrottlingException"}

func isThrottleReason(reason string) bool {
	return slices.ContainsFunc(throttleReasons, func(part string) bool { return strings.Contains(reason, part) })
}

// Wait polls a query until it has ended. A failed query is the error. If ctx ends, the
// query goes on: Stop stops it.
func (a *Athena) Wait(ctx context.Context, id string) (QueryStatus, error) {
	s, err := a.waitUpTo(ctx, id, math.MaxInt64)
	if err == nil {
		err = s.Err
	}
	return s, err
}

// waitUpTo polls a query until it has ended, or for as long as limit at most. As with
// Status, the error is that of a call.
func (a *Athena) waitUpTo(ctx context.Context, id string, limit time.Duration) (QueryStatus, error) {
	for wait, left := a.first, limit; ; wait = min(2*wait, a.most) {
		s, err := a.Status(ctx, id)
		if err != nil || s.Done || left <= 0 {
			return s, err
		}
		pause := min(wait/2+rand.N(wait/2+1), left)
		left -= pause
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Stop stops a query and does not wait for its end. Stopping one that has ended changes
// nothing.
func (a *Athena) Stop(ctx context.Context, id string) error {
	_, err := a.api.athena.StopQueryExecution(ctx, &athena.StopQueryExecutionInput{QueryExecutionId: &id})
	return fault("StopQueryExecution", err)
}

// Rows calls each with every row of the result of a query that has succeeded, page by
// page, and returns the names of the columns. A nil cell is NULL. Athena gives every value
// as text. The row is valid until each returns, whose error ends the reading.
func (a *Athena) Rows(ctx context.Context, id string, each func(row []*string) error) (columns []string, err error) {
	err = a.pages(ctx, id, func(meta *types.ResultSetMetadata) { columns = columnNames(meta) }, each)
	return columns, err
}

// pages is Rows, but calls begin with the columns of the result before the first row.
func (a *Athena) pages(ctx context.Context, id string, begin func(*types.ResultSetMetadata), each func(row []*string) error) error {
	pages := athena.NewGetQueryResultsPaginator(a.api.athena, &athena.GetQueryResultsInput{QueryExecutionId: &id})
	var row []*string
	for first := true; pages.HasMorePages(); first = false {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fault("GetQueryResults", err)
		}
		if page.ResultSet == nil {
			return fault("GetQueryResults", errors.New("the answer has no result"))
		}
		rows := page.ResultSet.Rows
		if first {
			begin(page.ResultSet.ResultSetMetadata)
			if len(rows) > 0 && isHeader(rows[0], columnNames(page.ResultSet.ResultSetMetadata)) {
				rows = rows[1:]
			}
		}
		for _, r := range rows {
			row = row[:0]
			for _, cell := range r.Data {
				row = append(row, cell.VarCharValue)
			}
			if err := each(row); err != nil {
				return err
			}
		}
	}
	return nil
}

func columnNames(meta *types.ResultSetMetadata) (names []string) {
	if meta == nil {
		return nil
	}
	for _, c := range meta.ColumnInfo {
		names = append(names, sdk.ToString(c.Name))
	}
	return names
}

// isHeader reports whether a row repeats the names of the columns, as the first one of a
// SELECT does. That of SHOW or DESCRIBE does not.
func isHeader(row types.Row, columns []string) bool {
	return len(columns) > 0 && slices.EqualFunc(row.Data, columns, func(cell types.Datum, name string) bool {
		return sdk.ToString(cell.VarCharValue) == name
	})
}
