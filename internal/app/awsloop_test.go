package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/demo"
	"gateway/internal/export"
	"gateway/internal/gatewaytest"
	"gateway/internal/insights/insightstest"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
	"gateway/internal/schema"
)

// customersTable makes a table for customers, with point-in-time recovery.
func customersTable(t *testing.T, s *sandbox.Server) *dynamodb.Client {
	t.Helper()
	client := dynamodb.NewFromConfig(s.Config())
	key := "customer_id"
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: sdk.String("customers"), BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: &key, KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &key, AttributeType: types.ScalarAttributeTypeS}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.UpdateContinuousBackups(t.Context(), &dynamodb.UpdateContinuousBackupsInput{TableName: sdk.String("customers"),
		PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: sdk.Bool(true)}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// demoCSV is n generated customers as a CSV.
func demoCSV(t *testing.T, n int) string {
	t.Helper()
	schema := schema.Bank()
	customers, err := demo.Customers(schema, n, 1)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("customer_id")
	for _, f := range schema.Features {
		b.WriteString("," + f.Name)
	}
	b.WriteString(",y\n")
	for _, c := range customers {
		record, err := schema.DecodeStored(c.Features, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(c.ID)
		text := string(schema.AppendFeatures(nil, record, true))
		for part := range strings.SplitSeq(strings.Trim(text, "{}"), ",") {
			_, value, _ := strings.Cut(part, ":")
			b.WriteString("," + strings.Trim(value, `"`))
		}
		label := ""
		if c.Label != nil {
			label = fmt.Sprint(*c.Label)
		}
		b.WriteString("," + label + "\n")
	}
	return b.String()
}

// TestTheLoopOnDynamoDBAndSageMaker is the whole platform: customers in a
// table, its export, and a second model that has learned from an outcome.
func TestTheLoopOnDynamoDBAndSageMaker(t *testing.T) {
	const customers = 400
	s := gatewaytest.StartSandbox(t)
	table := customersTable(t, s)
	g := start(t, awsConfig(t, s, "GATEWAY_CUSTOMERS_TABLE", "customers"))
	ctx := t.Context()
	report, err := g.client.Import(ctx, "text/csv", strings.NewReader(demoCSV(t, customers)), client.ImportOptions{Strict: true}, nil)
	if err != nil || report.Imported != customers || report.Inserted != customers {
		t.Fatalf("imported %+v (%v)", report, err)
	}
	first := g.renew(t, api.RetrainRequest{})
	if first.Status != modelswap.Succeeded {
		t.Fatalf("the first renewal is %s: %s", first.Status, first.Error)
	}
	g.ready(t)
	known, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "10042"})
	if err != nil || known.Model != *first.Model {
		t.Fatalf("got %+v (%v) for a stored customer", known, err)
	}
	if _, err := g.client.Outcome(ctx, api.Outcome{PredictionID: known.PredictionID, Outcome: 1}); err != nil {
		t.Fatal(err)
	}
	newcomer, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "newcomer", Features: gatewaytest.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := g.client.Outcome(ctx, api.Outcome{PredictionID: newcomer.PredictionID, Outcome: 1}); err != nil {
			t.Fatal(err)
		}
	}
	item, err := table.GetItem(ctx, &dynamodb.GetItemInput{TableName: sdk.String("customers"),
		Key: map[string]types.AttributeValue{"customer_id": &types.AttributeValueMemberS{Value: "newcomer"}}})
	if err != nil || item.Item["job"] == nil || item.Item["y"] == nil {
		t.Fatalf("the newcomer's item is %v (%v)", item.Item, err)
	}
	second := g.renew(t, api.RetrainRequest{Force: true})
	if second.Status != modelswap.Succeeded {
		t.Fatalf("the second renewal is %s: %s", second.Status, second.Error)
	}
	before, after := first.Step(modelswap.Convert).Detail, second.Step(modelswap.Convert).Detail
	if got := fmt.Sprint(after["new_labels"]); got != "2" {
		t.Errorf("new_labels is %s, want the two outcomes", got)
	}
	if before["rows"].(float64)+1 > after["rows"].(float64) {
		t.Errorf("the training data went from %v to %v rows, want the newcomer's too", before["rows"], after["rows"])
	}
	if p, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "newcomer"}); err != nil || p.Model != *second.Model {
		t.Errorf("got %+v (%v), want the second model", p, err)
	}
	// The figures of a model of SageMaker come from its scores and from its artifact.
	model, err := g.client.Model(ctx, *second.Model)
	if err != nil {
		t.Fatal(err)
	}
	f := model.Figures
	if f.Estimates == nil || f.Estimates.AUC.Value != second.Metrics.Challenger.AUC || f.Confusion == nil || len(f.Calibration) == 0 || f.Compared == nil || f.Compared.Model != *first.Model {
		t.Errorf("got figures %+v", f)
	}
	if len(f.Importance) != 20 || len(f.Coefficients) != 65 || f.Coefficients[0].Unit != "per 1" || f.Unavailable["search"] == "" || f.Unavailable["importance"] != "" {
		t.Errorf("the importance is %v, the coefficients are %v, unavailable are %v", f.Importance, f.Coefficients, f.Unavailable)
	}
	// The export can be converted by hand.
	detail := second.Step(modelswap.Export).Detail
	if detail["export"] != detail["folder"] || detail["passed_over"] != nil {
		t.Errorf("the export step says %v", detail)
	}
	items, err := export.Open(ctx, g.models[0].files.FS(ctx), fmt.Sprint(detail["folder"]))
	if err != nil {
		t.Fatal(err)
	}
	defer items.Close()
	var rows strings.Builder
	converted, err := export.Convert(ctx, schema.Bank(), items, export.Outputs{All: &rows}, export.Options{TempDir: t.TempDir()})
	if n := strings.Count(rows.String(), "\n"); err != nil || converted.Items != customers+1 || fmt.Sprint(n) != fmt.Sprint(after["rows"]) {
		t.Errorf("%d rows were converted from %d items (%v), want %v", n, converted.Items, err, after["rows"])
	}
	if n := s.Count("CreateTrainingJob"); n != 2 {
		t.Errorf("%d training jobs, want two", n)
	}
	// Every call of the endpoint for one prediction bears its name.
	calls := s.Calls("InvokeEndpoint")
	if !slices.ContainsFunc(calls, func(c sandbox.Call) bool { return c.InferenceID == newcomer.PredictionID }) {
		t.Error("no call bears the prediction's name")
	}
	checkContract(t, g, s)
	checkInsights(t, g)
}

// checkInsights asks a gateway that has had predictions and outcomes whether its model
// is still right.
func checkInsights(t *testing.T, g *gatewayUnderTest) {
	t.Helper()
	gatewaytest.Eventually(t, "the outbox is empty", func() bool { return g.components.outbox.Stats().Rows == 0 })
	insightstest.CheckSums(t, g.models[0].line)
	quality, err := g.client.Quality(t.Context(), client.InsightQuery{})
	if err != nil || len(quality.Models) < 2 || quality.Models[0].Holdout == nil || quality.Models[0].Predictions == 0 {
		t.Errorf("the quality is %+v (%v)", quality, err)
	}
	drift, err := g.client.Drift(t.Context(), client.InsightQuery{})
	if err != nil || drift.Reference.Rows == 0 || drift.Window.Rows == 0 || len(drift.Features) != 20 || drift.Score.Mean.Reference == nil {
		t.Errorf("the drift is %+v (%v)", drift, err)
	}
	correlations, err := g.client.Correlations(t.Context())
	if err != nil || correlations.Rows <= drift.Reference.Rows || len(correlations.Correlations) < 20 {
		t.Errorf("the correlations are %+v (%v)", correlations, err)
	}
}
