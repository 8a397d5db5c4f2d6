//go:build long

package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/config"
	"gateway/internal/demo"
	"gateway/internal/export"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// success are the customers whose last campaign was a success. Models rightly
// take them for likely ones.
func success(t *testing.T, n int) (ids []string) {
	t.Helper()
	customers, err := demo.Customers(schema.Bank(), n, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range customers {
		if strings.Contains(string(c.Features), `"poutcome":"success"`) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// TestAChangeOfBehaviourIsLearned reports that none of those whose last campaign
// was a success subscribes any more, although the imported labels say otherwise.
func TestAChangeOfBehaviourIsLearned(t *testing.T) {
	const n = 6000
	g := imported(t, n, func(*config.Config) {})
	changed := success(t, n)
	mean := func() (sum float64) {
		for _, id := range changed {
			p, err := g.client.Predict(t.Context(), api.PredictionRequest{CustomerID: id})
			if err != nil {
				t.Fatal(err)
			}
			sum += p.Score / float64(len(changed))
		}
		return sum
	}
	before := mean()
	for i := range 1000 { // verify looks at what was asked lately, which is not about those alone
		if _, err := g.client.Predict(t.Context(), api.PredictionRequest{CustomerID: fmt.Sprint(firstCustomer + i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range changed {
		if _, err := g.client.Outcome(t.Context(), api.Outcome{CustomerID: id, Outcome: 0}); err != nil {
			t.Fatal(err)
		}
	}
	r := g.renew(t, api.RetrainRequest{})
	if r.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	if got := fmt.Sprint(r.Step(modelswap.Convert).Detail["new_labels"]); got != fmt.Sprint(len(changed)) {
		t.Errorf("new_labels is %s, want all %d", got, len(changed))
	}
	if c := r.Metrics; c.Challenger.AUC <= c.Champion.AUC {
		t.Errorf("the challenger's AUC is %.4f, the champion's %.4f: what changed does not show", c.Challenger.AUC, c.Champion.AUC)
	}
	after := mean()
	t.Logf("the mean score of %d customers went from %.3f to %.3f", len(changed), before, after)
	if after > before/2 {
		t.Errorf("the mean score of those who changed went from %.3f to %.3f, want less than half", before, after)
	}
}

// TestInventedCustomersOnDynamoDBAndSageMaker is the attack on the other platform.
func TestInventedCustomersOnDynamoDBAndSageMaker(t *testing.T) {
	s := gatewaytest.StartSandbox(t)
	table := customersTable(t, s)
	g := start(t, awsConfig(t, s, "GATEWAY_CUSTOMERS_TABLE", "customers", "GATEWAY_RETRAIN_OUTCOMES", "120"))
	if report, err := g.client.Import(t.Context(), "text/csv", strings.NewReader(demoCSV(t, 1500)), client.ImportOptions{Strict: true}, nil); err != nil || report.Imported != 1500 {
		t.Fatalf("imported %+v (%v)", report, err)
	}
	first := g.renew(t, api.RetrainRequest{})
	if first.Status != modelswap.Succeeded {
		t.Fatalf("the first renewal is %s: %s", first.Status, first.Error)
	}
	g.ready(t)
	poison(t, g.client)
	r := g.renewedByOutcomes(t)
	convert := r.Step(modelswap.Convert).Detail
	t.Logf("%s: %s; %v", r.Status, r.Error, convert["contributions"])
	if r.Status != modelswap.Rejected || g.serving(t) != *first.Model {
		t.Errorf("the renewal is %s (%s), and %s serves", r.Status, r.Error, g.serving(t))
	}
	if got := fmt.Sprint(convert["contributions"]); !strings.Contains(got, "map[caller:anonymous left_out:0 origin:app rows:120]") {
		t.Errorf("contributions are %s, want the 120 rows of anonymous callers", got)
	}
	item, err := table.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: sdk.String("customers"),
		Key: map[string]types.AttributeValue{"customer_id": &types.AttributeValueMemberS{Value: inventedID("invented0", false)}}})
	if err != nil || item.Item[export.OriginAttribute] == nil {
		t.Errorf("the item of an invented customer is %v (%v)", item.Item, err)
	}
}

// TestALargeChangeIsLearnedAfterTheProbation lets ten callers report that all
// customers are now decided by how they were contacted. At once that is more than
// apps may say; once the outcomes have stood, it is what models are judged by.
func TestALargeChangeIsLearnedAfterTheProbation(t *testing.T) {
	g := imported(t, 3000, func(*config.Config) {})
	before := g.aucOnReal(t, g.serving(t))
	var outcomes []predict.Outcome
	err := g.components.store.EachCustomer(t.Context(), func(c predict.Customer) error {
		o := predict.Outcome{CustomerID: c.ID, Caller: fmt.Sprint("caller", len(outcomes)%10), ObservedAt: time.Now()}
		if strings.Contains(string(c.Features), `"contact":"telephone"`) {
			o.Label = 1
		}
		outcomes = append(outcomes, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.models[0].line.RecordOutcomes(t.Context(), outcomes); err != nil {
		t.Fatal(err)
	}
	r := g.renew(t, api.RetrainRequest{})
	if after := g.aucOnReal(t, g.serving(t)); after < before-0.005 {
		t.Errorf("at once: the AUC went from %.3f to %.3f (%s)", before, after, r.Status)
	}
	t.Logf("at once: %s (%s)", r.Status, r.Error)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	cfg := g.cfg
	cfg.Outcome.Probation = config.Age(time.Nanosecond)
	g = start(t, cfg)
	r = g.renew(t, api.RetrainRequest{})
	if r.Status != modelswap.Succeeded || r.Metrics.Challenger.AUC < 0.99 {
		t.Errorf("after the probation: %s (%s) with %+v, want the new labels learned", r.Status, r.Error, r.Metrics.Challenger)
	}
}
