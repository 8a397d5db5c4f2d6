package sam

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gateway/internal/gatewaytest"
	"gateway/internal/pgtest"
	"gateway/internal/sandbox"
)

// compiled is the path of the function, which TestMain compiles as for Lambda.
var compiled string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "gateway-function-")
	if err != nil {
		panic(err)
	}
	if compiled, err = gatewaytest.BuildFunction(folder, "gateway/cmd/gateway"); err != nil {
		panic(err)
	}
	code := pgtest.Run(m)
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

const token = "a-token-of-operators"

// stack is what the template makes: the two functions on one database, and the services.
type stack struct {
	t               *testing.T
	services        *sandbox.Server
	apps, operators *sandbox.Function
	logs            *gatewaytest.Buffer
	database        *pgx.Conn
	customers       string // a CSV file
	folder          string // has the functions' data dirs
}

func newStack(t *testing.T, options sandbox.Options) *stack {
	t.Helper()
	options.Buckets, options.Pace = []string{"bank"}, sandbox.RealPace().Faster(5000)
	s := &stack{t: t, services: sandbox.Start(t, options), logs: &gatewaytest.Buffer{}, folder: t.TempDir()}
	must(t, s.services.Prepare(t.Context(), "bank", "customers"))
	var schema string
	s.customers, schema = gatewaytest.SmallData(t)
	secret := gatewaytest.DatabaseSecret(t)
	var database struct {
		Host, Username, Password, Dbname string
		Port                             int
	}
	must(t, json.Unmarshal([]byte(gatewaytest.ReadAll(t, secret)), &database))
	gatewaytest.UseSandbox(t, s.services, "GATEWAY_SCHEMA", schema, "GATEWAY_CUSTOMERS_TABLE", "customers",
		"GATEWAY_DB_SECRET_ID", "file:"+secret,
		"GATEWAY_ADMIN_SECRET_ID", "file:"+gatewaytest.WriteFile(t, "tokens.json", `{"tokens": {"ops": "`+token+`"}}`),
		"GATEWAY_OUTBOX_SYNC", "database",
		"GATEWAY_PREDICT_TIMEOUT", "20s", "GATEWAY_TRAINING_MAX_RUNTIME", "24h", "GATEWAY_RENEWAL_POLL", cmp.Or(os.Getenv("GATEWAY_RENEWAL_POLL"), "20ms"))
	s.apps, s.operators = s.function("apps"), s.function("operators")
	var err error
	s.database, err = pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable",
		database.Host, database.Port, database.Username, database.Password, database.Dbname))
	must(t, err)
	t.Cleanup(func() {
		_ = s.database.Close(t.Context())
		if t.Failed() {
			t.Log(s.logs)
		}
	})
	return s
}

// function makes a function with the routes, and a data dir of its own.
func (s *stack) function(routes string) *sandbox.Function {
	f := sandbox.NewFunction(routes, compiled, []string{"GATEWAY_LAMBDA_ROUTES=" + routes,
		"GATEWAY_DATA_DIR=" + filepath.Join(s.folder, routes)}, s.logs)
	s.t.Cleanup(f.Kill)
	return f
}

// answer is what a function answers to a request.
type answer struct {
	StatusCode      int
	Headers         map[string]string
	Cookies         []string
	Body            string
	IsBase64Encoded bool
}

// request is an event in payload format 2.0, with its body in base64 as Lambda sends bodies
// that may be binary.
func request(method, path, contentType, body string) map[string]any {
	path, query, _ := strings.Cut(path, "?")
	return map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
		"headers": map[string]string{"content-type": contentType, "host": "id.lambda-url.eu-central-1.on.aws", "authorization": "Bearer " + token},
		"requestContext": map[string]any{"domainName": "id.lambda-url.eu-central-1.on.aws", "stage": "$default",
			"http": map[string]string{"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7"}},
		"body": base64.StdEncoding.EncodeToString([]byte(body)), "isBase64Encoded": true,
	}
}

// try sends a request.
func (s *stack) try(f *sandbox.Function, method, path, contentType, body string) (a answer, err error) {
	s.t.Helper()
	event, err := json.Marshal(request(method, path, contentType, body))
	must(s.t, err)
	text, err := f.Invoke(s.t.Context(), event)
	if err != nil {
		return a, err
	}
	must(s.t, json.Unmarshal(text, &a))
	if a.IsBase64Encoded {
		plain, err := base64.StdEncoding.DecodeString(a.Body)
		must(s.t, err)
		a.Body = string(plain)
	}
	return a, nil
}

// call sends a request that must be answered with a status, and reads its answer.
func (s *stack) call(f *sandbox.Function, method, path, body string, status int, into any) {
	s.t.Helper()
	a, err := s.try(f, method, path, "application/json", body)
	must(s.t, err)
	if a.StatusCode != status {
		s.t.Fatalf("%s %s: %d %s, want %d", method, path, a.StatusCode, a.Body, status)
	}
	if into != nil {
		must(s.t, json.Unmarshal([]byte(a.Body), into))
	}
}

// tick is the scheduled event.
func (s *stack) tick() {
	s.t.Helper()
	_, err := s.operators.Invoke(s.t.Context(), []byte(`{"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}`))
	must(s.t, err)
}

type renewal struct {
	ID, Status string
	Model      *string
	Steps      []struct{ Name, Status string }
}

// renew starts a renewal and sends scheduled events until it has ended. It calls between
// after each.
func (s *stack) renew(between func(renewal)) (r renewal) {
	s.t.Helper()
	s.call(s.operators, http.MethodPost, "/admin/retrain", `{"force": true}`, http.StatusAccepted, &r)
	gatewaytest.Eventually(s.t, "the renewal has ended", func() bool {
		s.tick()
		s.call(s.operators, http.MethodGet, "/admin/renewals/"+r.ID, "", http.StatusOK, &r)
		between(r)
		return r.Status != "queued" && r.Status != "running"
	})
	if r.Status != "succeeded" {
		s.t.Fatalf("the renewal is %+v", r)
	}
	return r
}

// serving imports the customers and trains the first model.
func (s *stack) serving() renewal {
	s.t.Helper()
	a, err := s.try(s.operators, http.MethodPost, "/admin/customers", "text/csv", gatewaytest.ReadAll(s.t, s.customers))
	must(s.t, err)
	if a.StatusCode != http.StatusOK || !strings.Contains(a.Body, `"rows":900`) {
		s.t.Fatalf("the import answers %d %s", a.StatusCode, a.Body)
	}
	return s.renew(func(renewal) {})
}

// alone returns the calls of AWS that the apps' function makes while do runs.
func (s *stack) alone(do func()) (calls []string) {
	s.t.Helper()
	s.operators.Kill()
	s.services.ForgetCalls()
	do()
	for _, c := range s.services.Calls() {
		calls = append(calls, c.Service+":"+c.Operation)
	}
	slices.Sort(calls)
	return slices.Compact(calls)
}

// recorded reports whether the database has a prediction.
func (s *stack) recorded(id string) (is bool) {
	s.t.Helper()
	must(s.t, s.database.QueryRow(s.t.Context(), `SELECT EXISTS (SELECT 1 FROM predictions WHERE id = $1)`, id).Scan(&is))
	return is
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
