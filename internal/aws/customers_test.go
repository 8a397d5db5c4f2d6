package aws

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
	"gateway/internal/sandbox"
	"gateway/internal/schema"
	"gateway/internal/store"
)

const table = "customers"

func (s *stand) createTable(name, key string, kind types.ScalarAttributeType) {
	s.t.Helper()
	_, err := s.api.dynamodb.CreateTable(s.t.Context(), &dynamodb.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: &key, KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &key, AttributeType: kind}}})
	s.must(err)
}

func (s *stand) pointInTime(on bool) {
	s.t.Helper()
	_, err := s.api.dynamodb.UpdateContinuousBackups(s.t.Context(), &dynamodb.UpdateContinuousBackupsInput{TableName: sdk.String(table),
		PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: &on}})
	s.must(err)
}

// openStore opens the ledger.
func openStore(t *testing.T) *store.Line {
	t.Helper()
	db, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	line, err := db.OpenLine(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// tableAndLedger is the customer store and the ledger as package app wires them.
type tableAndLedger struct {
	*Customers
	*LabelSync
}

func (s *stand) customers(schema *schema.Schema) tableAndLedger {
	s.t.Helper()
	c, err := OpenCustomers(s.t.Context(), s.api, table, schema)
	s.must(err)
	return tableAndLedger{c, NewLabelSync(openStore(s.t), c, s.log())}
}

func (s *stand) item(id string) map[string]types.AttributeValue {
	s.t.Helper()
	out, err := s.api.dynamodb.GetItem(s.t.Context(), &dynamodb.GetItemInput{TableName: sdk.String(table), ConsistentRead: sdk.Bool(true),
		Key: map[string]types.AttributeValue{"customer_id": &types.AttributeValueMemberS{Value: id}}})
	s.must(err)
	return out.Item
}

// text returns the value of an attribute, or "" if there is none.
func text(item map[string]types.AttributeValue, name string) string {
	switch v := item[name].(type) {
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberS:
		return "'" + v.Value + "'"
	}
	return ""
}

func TestATableKeepsTheContractOfStores(t *testing.T) {
	t.Parallel()
	schema := parseSchema(t, `
name: people
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: age, type: integer, default: 18}
`)
	predicttest.TestStoreWithoutDemo(t, func(t *testing.T) predicttest.Ports {
		s := start(t)
		s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
		return s.customers(schema)
	})
}

func TestATableThatDoesNotFitIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, key string
		kind      types.ScalarAttributeType
		want      string
	}{
		{"another key", "id", types.ScalarAttributeTypeS, "has the key (id), want customer_id alone"},
		{"a number for a key", "customer_id", types.ScalarAttributeTypeN, "has the key customer_id of type N, want S"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			s.createTable(table, tt.key, tt.kind)
			if _, err := OpenCustomers(t.Context(), s.api, table, s.schema); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	s := start(t)
	if _, err := OpenCustomers(t.Context(), s.api, table, s.schema); err == nil || !strings.Contains(err.Error(), `table "customers" does not exist in eu-central-1`) {
		t.Errorf("got %v", err)
	}
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	_, err := s.api.dynamodb.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: sdk.String("two-keys"), BillingMode: types.BillingModePayPerRequest,
		KeySchema: []types.KeySchemaElement{{AttributeName: sdk.String("customer_id"), KeyType: types.KeyTypeHash}, {AttributeName: sdk.String("year"), KeyType: types.KeyTypeRange}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: sdk.String("customer_id"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: sdk.String("year"), AttributeType: types.ScalarAttributeTypeN}}})
	s.must(err)
	if _, err := OpenCustomers(t.Context(), s.api, "two-keys", s.schema); err == nil || !strings.Contains(err.Error(), "(customer_id, year)") {
		t.Errorf("got %v", err)
	}
	s.Order("DescribeTable", sandbox.Fault{Kind: sandbox.Denied})
	if _, err := OpenCustomers(t.Context(), s.api, table, s.schema); err == nil || !strings.Contains(err.Error(), "AccessDeniedException") {
		t.Errorf("got %v", err)
	}
}

func TestStoredCustomersAreReadByNameOrAlias(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	put := func(id string, item map[string]types.AttributeValue) {
		item["customer_id"] = &types.AttributeValueMemberS{Value: id}
		_, err := s.api.dynamodb.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: sdk.String(table), Item: item})
		s.must(err)
	}
	n := func(x string) types.AttributeValue { return &types.AttributeValueMemberN{Value: x} }
	str := func(x string) types.AttributeValue { return &types.AttributeValueMemberS{Value: x} }
	put("names", map[string]types.AttributeValue{"x": n("1.5"), "month": str("may"), "size": n("2"), "notes": str("not ours")})
	put("alias", map[string]types.AttributeValue{"x": str("1.5"), "month": str("jun"), "body.size": n("3")})
	put("holes", map[string]types.AttributeValue{"x": n("1"), "size": &types.AttributeValueMemberNULL{Value: true}})
	put("broken", map[string]types.AttributeValue{"x": n("1"), "month": str("april"), "size": str("large")})
	put("nested", map[string]types.AttributeValue{"x": &types.AttributeValueMemberL{}, "month": str("may")})
	got, err := c.Features(t.Context(), []string{"names", "alias", "holes", "broken", "nested", "nobody", "names", ""})
	s.must(err)
	texts := map[string]string{}
	for id, f := range got {
		texts[id] = string(f)
	}
	if diff := cmp.Diff(map[string]string{
		"names": `{"x":1.5,"month":"may","size":2}`, "alias": `{"x":1.5,"month":"jun","size":3}`, "holes": `{"x":1}`,
		"broken": `{"x":1}`, "nested": `{"month":"may"}`,
	}, texts); diff != "" {
		t.Error(diff)
	}
	one, err := c.Features(t.Context(), []string{"alias"})
	if err != nil || string(one["alias"]) != texts["alias"] {
		t.Errorf("alone it is %s (%v)", one["alias"], err)
	}
}

func TestAnImportKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	_, err := s.api.dynamodb.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: sdk.String(table), Item: map[string]types.AttributeValue{
		"customer_id": &types.AttributeValueMemberS{Value: "1"}, "body.size": &types.AttributeValueMemberN{Value: "9"},
		"notes": &types.AttributeValueMemberS{Value: "theirs"}, "y": &types.AttributeValueMemberN{Value: "1"}}})
	s.must(err)
	zero := 0
	inserted, updated, err := c.PutCustomers(t.Context(), []predict.Customer{
		{ID: "1", Features: []byte(`{"x":1,"month":"may"}`)}, {ID: "2", Features: []byte(`{"x":2,"month":"jun","size":4}`), Label: &zero},
		{ID: "2", Features: []byte(`{"x":3,"month":"jun","size":4}`), Label: &zero}})
	if err != nil || inserted != 1 || updated != 2 {
		t.Errorf("%d inserted, %d updated (%v)", inserted, updated, err)
	}
	one, two := s.item("1"), s.item("2")
	if text(one, "notes") != "'theirs'" || text(one, "y") != "1" || text(one, "x") != "1" || text(one, "body.size") != "" {
		t.Errorf("the known customer is %v: the features are replaced, and all else is kept", one)
	}
	if text(two, "x") != "3" || text(two, "y") != "0" || text(two, "month") != "'jun'" {
		t.Errorf("the new customer is %v, want the last row of its id", two)
	}
	if _, _, err := c.PutCustomers(t.Context(), []predict.Customer{{ID: "3", Demo: true}}); !isKind(err, failure.Invalid) {
		t.Errorf("a generated customer: %v", err)
	}
}

func TestALargeImportSurvivesWhatTheTableLeavesUndone(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	var all []predict.Customer
	for i := range 260 {
		all = append(all, predict.Customer{ID: fmt.Sprint(i), Features: fmt.Appendf(nil, `{"x":%d,"month":"may"}`, i)})
	}
	s.Order("BatchWriteItem", sandbox.Fault{Kind: sandbox.Unprocessed, Status: 20, Times: 3})
	s.Order("BatchWriteItem", sandbox.Fault{Kind: sandbox.Throttle, Times: 1})
	s.Order("BatchGetItem", sandbox.Fault{Kind: sandbox.Unprocessed, Status: 50, Times: 2})
	inserted, updated, err := c.PutCustomers(t.Context(), all)
	if err != nil || inserted != 260 || updated != 0 {
		t.Fatalf("%d inserted, %d updated (%v)", inserted, updated, err)
	}
	inserted, updated, err = c.PutCustomers(t.Context(), all)
	if err != nil || inserted != 0 || updated != 260 {
		t.Errorf("again: %d inserted, %d updated (%v)", inserted, updated, err)
	}
	got, err := c.Features(t.Context(), func() (ids []string) {
		for _, p := range all {
			ids = append(ids, p.ID)
		}
		return ids
	}())
	if err != nil || len(got) != 260 || !strings.HasPrefix(string(got["259"]), `{"x":259`) {
		t.Errorf("%d customers are there (%v)", len(got), err)
	}
	n, err := c.Count(t.Context())
	if err != nil || n != 260 {
		t.Errorf("the table counts %d (%v)", n, err)
	}
}

func TestATableThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Features(ctx, []string{"1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.Order("GetItem", sandbox.Fault{Kind: sandbox.Denied})
	_, err := c.Features(t.Context(), []string{"1"})
	isFault(t, err, modelswap.Input, "AccessDeniedException")
}

func TestLabelsReachTheTable(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	zero := 0
	_, _, err := c.PutCustomers(t.Context(), []predict.Customer{{ID: "known", Features: []byte(`{"x":1,"month":"may"}`), Label: &zero}, {ID: "other", Features: []byte(`{"x":1,"month":"may"}`)}})
	s.must(err)
	record := func(o predict.Outcome) predict.Match {
		t.Helper()
		m, err := c.RecordOutcomes(t.Context(), []predict.Outcome{o})
		s.must(err)
		return m[0]
	}
	if m := record(predict.Outcome{CustomerID: "known", Label: 1, ObservedAt: noon}); !m.Found || m.Duplicate {
		t.Errorf("got %+v for a customer who was never predicted for", m)
	}
	item := s.item("known")
	if text(item, "y") != "1" || text(item, "_outcome") != "1" || text(item, "x") != "1" {
		t.Errorf("the item is %v, want the label and the features", item)
	}
	if m := record(predict.Outcome{CustomerID: "known", Label: 1, ObservedAt: noon}); !m.Duplicate {
		t.Errorf("sent twice: %+v", m)
	}
	if m := record(predict.Outcome{CustomerID: "known", Label: 0, ObservedAt: noon.Add(-time.Hour)}); !m.Found || text(s.item("known"), "y") != "1" {
		t.Errorf("one observed earlier came later: %+v, label %s", m, text(s.item("known"), "y"))
	}
	record(predict.Outcome{CustomerID: "known", Label: 0, ObservedAt: noon.Add(time.Hour)})
	if got := text(s.item("known"), "y"); got != "0" {
		t.Errorf("one observed later: label %s", got)
	}
	if m := record(predict.Outcome{CustomerID: "nobody", Label: 1}); m.Found || s.item("nobody") != nil {
		t.Errorf("an unknown customer: %+v, item %v", m, s.item("nobody"))
	}
	// The customer of an anonymous prediction is made from the features of the prediction.
	id := failure.NewID()
	s.must(c.Append(t.Context(), []predict.Prediction{{ID: id, CreatedAt: noon, Features: []byte(`{"x":7,"month":"jun"}`), Model: "m", Schema: "s"}}))
	record(predict.Outcome{PredictionID: id, Label: 1, ObservedAt: noon})
	if item := s.item(id); text(item, "x") != "7" || text(item, "month") != "'jun'" || text(item, "y") != "1" {
		t.Errorf("the new customer is %v", item)
	}
	// An import does not replace labels that outcomes have set.
	_, _, err = c.PutCustomers(t.Context(), []predict.Customer{{ID: "known", Features: []byte(`{"x":2,"month":"may"}`), Label: sdk.Int(1)}})
	s.must(err)
	if item := s.item("known"); text(item, "y") != "0" || text(item, "x") != "2" {
		t.Errorf("after an import the item is %v", item)
	}
}

func TestALabelOfTheFutureInTheTableGivesWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	_, _, err := c.PutCustomers(t.Context(), []predict.Customer{{ID: "1", Features: []byte(`{"x":1,"month":"may"}`)}})
	s.must(err)
	record := func(label int, at time.Time) predict.Match {
		t.Helper()
		m, err := c.RecordOutcomes(t.Context(), []predict.Outcome{{CustomerID: "1", Label: label, ObservedAt: at}})
		s.must(err)
		return m[0]
	}
	record(1, time.Now())
	// An older version has stored a time without a check.
	_, err = s.api.dynamodb.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: sdk.String(table), Key: map[string]types.AttributeValue{"customer_id": &types.AttributeValueMemberS{Value: "1"}},
		UpdateExpression:          sdk.String("SET #o = :o"),
		ExpressionAttributeNames:  map[string]string{"#o": observedAttribute},
		ExpressionAttributeValues: map[string]types.AttributeValue{":o": &types.AttributeValueMemberN{Value: fmt.Sprint(time.Date(2062, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())}},
	})
	s.must(err)
	if m := record(0, time.Now().Add(time.Second)); m.Superseded || text(s.item("1"), "y") != "0" {
		t.Errorf("%+v, label %s", m, text(s.item("1"), "y"))
	}
	if m := record(1, time.Now().Add(-time.Hour)); !m.Superseded || text(s.item("1"), "y") != "0" {
		t.Errorf("one observed earlier: %+v, label %s", m, text(s.item("1"), "y"))
	}
}

func TestALabelThatTheTableDidNotTakeComesBeforeTheNextExport(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	s.pointInTime(true)
	c := s.customers(s.schema)
	var all []predict.Customer
	for i := range 3 {
		all = append(all, predict.Customer{ID: fmt.Sprint(i), Features: []byte(`{"x":1,"month":"may"}`)})
	}
	_, _, err := c.PutCustomers(t.Context(), all)
	s.must(err)
	o := s.Order("UpdateItem", sandbox.Fault{Kind: sandbox.Denied, Times: -1})
	for i := range 3 {
		m, err := c.RecordOutcomes(t.Context(), []predict.Outcome{{CustomerID: fmt.Sprint(i), Label: i % 2, ObservedAt: time.Now()}})
		if err != nil || !m[0].Found { // the ledger has it
			t.Fatalf("got %+v, %v", m, err)
		}
	}
	s.logged(`level=WARN msg="cannot write labels`, "AccessDeniedException")
	exporter := s.exporter(c.LabelSync, nil)
	if err := exporter.StartExport(t.Context(), "renewal-1"); err == nil || s.Count("ExportTableToPointInTime") != 0 {
		t.Errorf("an export began without the labels (%v)", err)
	}
	o.Cancel()
	s.must(exporter.StartExport(t.Context(), "renewal-1"))
	for i := range 3 {
		if item := s.item(fmt.Sprint(i)); text(item, "y") != fmt.Sprint(i%2) || text(item, "_outcome") != fmt.Sprint(i+1) {
			t.Errorf("item %d is %v", i, item)
		}
	}
	before := s.Count("UpdateItem")
	s.must(exporter.StartExport(t.Context(), "renewal-2"))
	if n := s.Count("UpdateItem") - before; n != 0 {
		t.Errorf("%d labels were brought again", n)
	}
	// The table is created again, as from a backup without the labels.
	_, err = s.api.dynamodb.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: sdk.String(table)})
	s.must(err)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	s.pointInTime(true)
	_, _, err = c.PutCustomers(t.Context(), all)
	s.must(err)
	s.must(exporter.StartExport(t.Context(), "renewal-3"))
	for i := range 3 {
		if item := s.item(fmt.Sprint(i)); text(item, "y") != fmt.Sprint(i%2) || text(item, "_outcome") != fmt.Sprint(i+1) {
			t.Errorf("in the table that was made anew item %d is %v", i, item)
		}
	}
	for range 2 {
		_, err = c.RecordOutcomes(t.Context(), []predict.Outcome{{CustomerID: "0", Label: 1, ObservedAt: time.Now()}})
		s.must(err)
	}
	s.logged("labels are written to the customers' table again", "failed_for=")
}

// Null is a value of a feature that may be missing: it is written and read as one. A
// marker is as good as no attribute. A format is that of strings, not of numbers.
func TestATableKeepsNull(t *testing.T) {
	t.Parallel()
	s := start(t)
	schema := parseSchema(t, `name: small
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: x, type: number, alias: [ex], missing: allow}
  - {name: month, type: category, values: [may], missing: allow}
  - {name: size, type: number, missing: allow, format: "1.234,5"}
`)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(schema)
	_, _, err := c.PutCustomers(t.Context(), []predict.Customer{{ID: "1", Features: []byte(`{"x":null,"month":"may"}`)}, {ID: "2", Features: []byte(`{"x":2}`)}})
	s.must(err)
	_, _, err = c.PutCustomers(t.Context(), []predict.Customer{{ID: "2", Features: []byte(`{"x":null,"month":null}`)}})
	s.must(err)
	_, err = s.api.dynamodb.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: sdk.String(table), Item: map[string]types.AttributeValue{
		"customer_id": &types.AttributeValueMemberS{Value: "3"}, "x": &types.AttributeValueMemberS{Value: "N/A"},
		"ex": &types.AttributeValueMemberN{Value: "3"}, "month": &types.AttributeValueMemberS{Value: "?"},
		"size": &types.AttributeValueMemberS{Value: "1.234"}}})
	s.must(err)
	_, _, err = c.PutCustomers(t.Context(), []predict.Customer{{ID: "4", Features: []byte(`{"size":1.234}`)}})
	s.must(err)
	found, err := c.Features(t.Context(), []string{"1", "2", "3", "4"})
	s.must(err)
	for id, want := range map[string]string{"1": `{"x":null,"month":"may"}`, "2": `{"x":null,"month":null}`, "3": `{"x":3,"size":1234}`, "4": `{"size":1.234}`} {
		if got := string(found[id]); got != want {
			t.Errorf("customer %s: got %s, want %s", id, got, want)
		}
	}
}

// A table made by another program may name the key, the label and the features by
// aliases of any text. An import brings the schema's own names.
func TestATableWithAliases(t *testing.T) {
	t.Parallel()
	s := start(t)
	schema := parseSchema(t, `name: small
id: {name: customer_id, alias: [Customer ID]}
label: {name: y, alias: ["Churn?"], positive: ["yes"], negative: ["no"]}
features:
  - {name: x, type: number, alias: ["Доход, ₽"]}
`)
	s.createTable(table, "Customer ID", types.ScalarAttributeTypeS)
	value := func(text string) types.AttributeValue { return &types.AttributeValueMemberS{Value: text} }
	put := func(id, label string) {
		t.Helper()
		_, err := s.api.dynamodb.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: sdk.String(table), Item: map[string]types.AttributeValue{
			"Customer ID": value(id), "Churn?": value(label), "Доход, ₽": &types.AttributeValueMemberN{Value: "7.5"}}})
		s.must(err)
	}
	item := func(id string) map[string]types.AttributeValue {
		t.Helper()
		out, err := s.api.dynamodb.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: sdk.String(table),
			Key: map[string]types.AttributeValue{"Customer ID": value(id)}, ConsistentRead: sdk.Bool(true)})
		s.must(err)
		return out.Item
	}
	put("1", "no")
	put("2", "no")
	c := s.customers(schema)
	found, err := c.Features(t.Context(), []string{"1", "2"})
	s.must(err)
	if got := string(found["1"]); len(found) != 2 || got != `{"x":7.5}` {
		t.Errorf("got %s of %d customers", got, len(found))
	}
	// An outcome sets the label by its name and leaves the alias.
	m, err := c.RecordOutcomes(t.Context(), []predict.Outcome{{CustomerID: "1", Label: 1, ObservedAt: time.Now()}})
	s.must(err)
	if got := item("1"); !m[0].Found || text(got, "y") != "'yes'" || text(got, "Churn?") != "'no'" {
		t.Errorf("match %+v, item %v", m[0], got)
	}
	if label := c.importedLabel(item("1")); label == nil || *label != 0 {
		t.Errorf("the imported label is %v, want 0", label)
	}
	// An import replaces features and label under their names.
	one := 1
	if _, updated, err := c.PutCustomers(t.Context(), []predict.Customer{{ID: "2", Features: []byte(`{"x":8}`), Label: &one}}); err != nil || updated != 1 {
		t.Errorf("updated %d, %v", updated, err)
	}
	if got := item("2"); text(got, "y") != "'yes'" || got["Churn?"] != nil || text(got, "x") != "8" || got["Доход, ₽"] != nil {
		t.Errorf("item %v", got)
	}
}
