package sandbox

import (
	"cmp"
	"reflect"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// athenaOperations are the operations of Athena.
var athenaOperations map[string]operation

func init() {
	athenaOperations = map[string]operation{
		"StartQueryExecution": typed((*Server).startQuery),
		"GetQueryExecution":   typed((*Server).getQuery),
		"GetQueryResults":     typed((*Server).queryResults),
		"StopQueryExecution":  typed((*Server).stopQuery),
	}
}

// startQueryInput is a request of StartQueryExecution.
type startQueryInput struct {
	QueryString           string
	ClientRequestToken    string
	WorkGroup             string
	QueryExecutionContext struct {
		Database string `json:",omitzero"`
		Catalog  string `json:",omitzero"`
	}
	ResultConfiguration struct{ OutputLocation string }
}

// Bounds of Athena's API reference.
const (
	maxQuery                     = 262_144
	minQueryToken, maxQueryToken = 32, 128
	maxResultRows                = 1000
)

// invalidQuery is the error of Athena for a request that it does not take.
func invalidQuery(format string, args ...any) *Error {
	e := refusef("InvalidRequestException", format, args...)
	e.Members = map[string]any{"AthenaErrorCode": "INVALID_INPUT"}
	return e
}

func (in *startQueryInput) check() error {
	token := in.ClientRequestToken
	switch {
	case in.QueryString == "" || len(in.QueryString) > maxQuery:
		return invalidQuery("1 validation error detected: Value at 'queryString' failed to satisfy constraint: Member must have length from 1 to %d", maxQuery)
	case token != "" && (len(token) < minQueryToken || len(token) > maxQueryToken):
		return invalidQuery("1 validation error detected: Value '%s' at 'clientRequestToken' failed to satisfy constraint: Member must have length from %d to %d",
			token, minQueryToken, maxQueryToken)
	case in.ResultConfiguration.OutputLocation == "": // the workgroups of the stand-in have none
		return invalidQuery("No output location provided. An output location is required either through the Workgroup result configuration setting or as an API input.")
	}
	if _, _, ok := bucketOf(in.ResultConfiguration.OutputLocation); !ok {
		return invalidQuery("outputLocation is not a valid S3 path.")
	}
	return nil
}

// startQuery starts a query. With the token of an earlier request it starts nothing: the
// answer is the id of that one's query if all parameters are the same, and else an error.
func (s *Server) startQuery(c *call, in *startQueryInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	type started struct{ QueryExecutionId string }
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queries {
		if in.ClientRequestToken == "" || q.in.ClientRequestToken != in.ClientRequestToken {
			continue
		}
		if !reflect.DeepEqual(q.in, in) {
			return nil, invalidQuery("Idempotent parameters do not match")
		}
		return started{q.id}, nil
	}
	q := &query{id: uuid.NewString(), in: in, fault: c.fault, state: queryQueued, submitted: s.clock.Now()}
	s.queries[q.id] = q
	return started{q.id}, nil
}

// queryNamed is a request about one query.
type queryNamed struct{ QueryExecutionId string }

// findQuery is called with mu held.
func (s *Server) findQuery(id string) (*query, error) {
	if q := s.queries[id]; q != nil {
		return q, nil
	}
	return nil, invalidQuery("QueryExecution %s was not found", id)
}

// stopQuery cancels a query. One that has ended stays as it is.
func (s *Server) stopQuery(_ *call, in *queryNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.findQuery(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	q.stop(s)
	return none{}, nil
}

// queryDescription is the QueryExecution of an answer.
type queryDescription struct {
	QueryExecutionId, Query, StatementType string
	WorkGroup                              string
	QueryExecutionContext                  any
	ResultConfiguration                    struct{ OutputLocation string }
	Status                                 queryStatus
	Statistics                             queryStatistics
	EngineVersion                          struct{ SelectedEngineVersion, EffectiveEngineVersion string }
}

type queryStatus struct {
	State              string
	StateChangeReason  string `json:",omitzero"`
	SubmissionDateTime epoch
	CompletionDateTime *epoch      `json:",omitzero"`
	AthenaError        *QueryError `json:",omitzero"`
}

type queryStatistics struct {
	DataScannedInBytes          int64
	EngineExecutionTimeInMillis int64
	QueryQueueTimeInMillis      int64
	TotalExecutionTimeInMillis  int64
	DataManifestLocation        string `json:",omitzero"`
}

func (s *Server) getQuery(_ *call, in *queryNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.findQuery(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	end := q.ended
	if end.IsZero() {
		end = s.clock.Now()
	}
	begun := q.begun
	if begun.IsZero() {
		begun = end
	}
	d := queryDescription{
		QueryExecutionId: q.id, Query: q.in.QueryString, StatementType: q.kind(), WorkGroup: cmp.Or(q.in.WorkGroup, "primary"),
		QueryExecutionContext: q.in.QueryExecutionContext,
		Status:                queryStatus{State: q.state, StateChangeReason: q.reason, SubmissionDateTime: epoch(q.submitted), CompletionDateTime: at(q.ended), AthenaError: q.failure},
		Statistics: queryStatistics{DataScannedInBytes: q.result.Scanned, EngineExecutionTimeInMillis: end.Sub(begun).Milliseconds(),
			QueryQueueTimeInMillis: begun.Sub(q.submitted).Milliseconds(), TotalExecutionTimeInMillis: end.Sub(q.submitted).Milliseconds()},
	}
	d.EngineVersion.SelectedEngineVersion, d.EngineVersion.EffectiveEngineVersion = "AUTO", "Athena engine version 3"
	d.ResultConfiguration.OutputLocation = q.output()
	if q.word() == "UNLOAD" {
		d.Statistics.DataManifestLocation = q.address() + "-manifest.csv"
	}
	return struct{ QueryExecution queryDescription }{d}, nil
}

// firstWord is the first keyword of a statement.
var firstWord = regexp.MustCompile(`^[\s(]*([A-Za-z]+)`)

// statement returns the first keyword of a statement, in capitals: UNLOAD, SELECT, CREATE.
// It is the Resource of calls of StartQueryExecution.
func statement(sql string) string {
	if m := firstWord.FindStringSubmatch(sql); m != nil {
		return strings.ToUpper(m[1])
	}
	return ""
}

func (q *query) word() string { return statement(q.in.QueryString) }

// kind is the StatementType of the query.
func (q *query) kind() string {
	switch q.word() {
	case "CREATE", "DROP", "ALTER", "MSCK":
		return "DDL"
	case "SHOW", "DESCRIBE", "EXPLAIN":
		return "UTILITY"
	}
	return "DML"
}

// address is the address of the files of the query's result, without their ending.
func (q *query) address() string {
	return strings.TrimSuffix(q.in.ResultConfiguration.OutputLocation, "/") + "/" + q.id
}

// output is the address of the query's result.
func (q *query) output() string {
	switch {
	case q.word() == "UNLOAD":
		return q.address()
	case q.kind() == "DML":
		return q.address() + ".csv"
	}
	return q.address() + ".txt"
}
