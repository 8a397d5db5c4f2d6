// Package gateway is the overview of a service that predicts, in real time,
// how a customer will decide, and that renews its model by itself.
//
// Apps ask POST /predict about a customer and later report, to POST /outcomes,
// what really happened. From those outcomes a renewal trains the next model,
// compares it with the one that serves, and swaps it in without a request
// lost. The data is described once, in a feature schema; validation, encoding
// and forms all follow from it.
//
// # Packages
//
//	cmd/gateway          the one binary: its commands
//	internal/app         a whole gateway: wiring, start and stop, the recipe of each platform
//	internal/config      the settings: read, checked, listed
//	internal/logging     the log, written in the background
//	internal/lambda      events of AWS Lambda, handled by a gateway
//	api                  HTTP: routes, handlers, wire types
//	api/console          the operators' console: pages rendered on the server
//	api/edge             what every request meets: credentials, limits, log, metrics, errors
//	api/client           the typed client
//	api/console/chart    charts of the console, as SVG with a table each
//	internal/predict     predictions and outcomes: the Service and its ports
//	internal/schema      the feature schema: validation, encoding, readers of CSV and JSON
//	internal/draft       a schema drafted from a CSV file, with a reason for each decision
//	internal/scoring     the way to a remote model: micro-batching, hedge, circuit breaker
//	internal/admission   what keeps it steady: the limit on requests of apps
//	internal/callctx     what a context carries to a call of the model; its deadline
//	internal/failure     kinds of errors, violations by field, ids
//	internal/outage      a failure that lasts is logged when it begins and when it ends
//	internal/budget      calls that earn additional calls: retries, hedges
//	internal/suggest     the name that a misspelled one was meant to be
//	internal/idempotency keys under which a request is handled once
//	internal/insights    whether the model is still right: sums of predictions and outcomes
//	internal/insights/stats statistics of quality and drift, from counts
//	internal/ask         questions in SQL over training data
//	internal/modelswap   renewals: the steps, the engine that runs them, the gate
//	internal/learn       models trained in Go: logistic regression, boosted trees
//	internal/artifact    model files of SageMaker's built-in algorithms
//	internal/export      DynamoDB's two export formats, and training CSV from them
//	internal/exportsql   the same conversion as SQL, for Athena
//	internal/secrets     values that rotate, and never print
//	internal/store       SQL: customers, ledger, renewals, models
//	internal/postgres    connections to a PostgreSQL server that must prove itself
//	internal/rotate      the rotation of credentials in four steps
//	             …/databases passwords of PostgreSQL and MySQL
//	             …/manager the steps' secrets in Secrets Manager
//	internal/outbox      predictions on local disk, until the database has them
//	internal/audit       the log of what operators did
//	internal/datadir     the directory of local state: its lock, atomic files
//	internal/local       the back end in this process: scorer, trainer, deployer
//	internal/aws         the back end on SageMaker, DynamoDB, S3 and Secrets Manager
//	internal/aws/wire    requests to the model endpoint, written and signed by hand
//	internal/httpserver  listeners that stop without resetting a connection, bounds, HTTP/2
//	             …/http1 the server side of HTTP/1.1 for the most frequent requests
//	internal/tracing     OpenTelemetry: spans of requests, calls and renewals
//	internal/demo        generated customers for a first start, and days of traffic
//	internal/sandbox     a stand-in for AWS: tests, and `gateway sandbox`
//	cmd/rotate           the function that Secrets Manager calls to rotate a secret
//	cmd/loadtest         a program that loads a gateway and measures: `make load`
//	internal/cfntest     templates of CloudFormation: tests
//	internal/contracttest answers held against openapi.yaml: tests
//	internal/gatewaytest what tests of whole gateways share
//	internal/testsize    how much of a large matrix the tests run
//
// What the domain packages need of a back end they declare as small
// interfaces, their ports: [gateway/internal/predict.Scorer],
// [gateway/internal/modelswap.Trainer] and so on. A back end is a package that
// implements them, and internal/app has one recipe for each.
//
// # Who imports whom
//
// Imports point down this list and never up; imports_test.go holds the code to it.
//
//	cmd/gateway ──► app, config, lambda, logging, client, aws, sandbox, export, modelswap, …
//	app         ──► config, and everything below but client, sandbox and logging
//	lambda      ──► edge
//	client      ──► api, edge, audit, insights, modelswap, predict
//	api         ──► console, edge, admission, audit, insights, modelswap, idempotency, predict, schema, failure
//	console     ──► chart, edge, admission, audit, insights, learn, modelswap, predict, schema, failure
//	edge        ──► admission, audit, callctx, failure
//	config      ──► aws, insights, postgres, outbox, modelswap, learn, secrets, schema
//	httpserver  ──► http1, admission
//	local       ──► datadir, modelswap, export, learn, secrets, predict, schema, failure
//	aws         ──► wire, artifact, modelswap, exportsql, export, learn, secrets, predict, schema, callctx, failure
//	store       ──► postgres, audit, insights, modelswap, idempotency, learn, predict, failure
//	outbox      ──► datadir, predict, failure
//	tracing     ──► modelswap, predict, schema, callctx, failure
//	modelswap   ──► export, insights, learn, predict, schema, failure
//	insights    ──► stats, predict, schema, failure
//	ask         ──► stats, schema
//	exportsql   ──► export, schema, failure
//	export      ──► predict, schema, failure
//	demo        ──► predict, schema, failure
//	scoring     ──► predict, schema, callctx, failure
//	idempotency ──► failure
//	admission   ──► failure
//	sandbox     ──► artifact, learn
//	artifact    ──► learn
//	cmd/rotate  ──► databases, manager, rotate, secrets
//	databases   ──► rotate, postgres, secrets
//	manager     ──► rotate, secrets
//	rotate      ──► datadir, secrets
//	cmd/loadtest ─►  sandbox, demo, learn, predict, schema
//	predict     ──► schema, callctx, failure
//	draft       ──► schema, suggest
//	schema      ──► failure
//	wire        ──► callctx
//	callctx     ──► failure
//	secrets     ──► datadir
//	failure, learn, stats, audit, datadir, http1, logging, chart, postgres ──► none of these
//
// The list leaves out three small mechanisms: outage, budget and suggest.
//
// # One request
//
// http1 or, if it is not plain, net/http reads it. edge gives it an id, checks its
// key and limits it. api decodes it strictly against the schema. predict.Service lays
// it over the stored customer, names every fault at once, and encodes it as a
// schema.Vector. The Scorer answers with a score and the name of the model that made
// it. The Ledger has the prediction before the caller does: on local disk, from where
// the outbox drains it to the database. api encodes the answer, and edge logs one line.
//
// # One renewal
//
// Its row in the store is the truth: after a crash the engine reads it and goes
// on from there. Seven steps, each safe to run twice: export the customers,
// convert them to CSV, train a challenger, register it, evaluate it against the
// champion on the same held-out rows, deploy it, verify that it answers. A
// challenger that the gate rejects, or a step that fails, leaves the champion
// serving.
package gateway

import _ "embed"

// OpenAPI is the text of openapi.yaml, the contract of the HTTP interface. It
// is here because a file can be embedded only from its own directory or above.
//
//go:embed openapi.yaml
var OpenAPI []byte
