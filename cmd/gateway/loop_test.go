package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gateway/api"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
	"gateway/internal/testsize"
)

// TestTheLoop is the product in one test: a model from nothing, a prediction,
// its outcome, and a next model that has learned from it.
func TestTheLoop(t *testing.T) {
	cfg := config(t)
	g := start(t, cfg)
	g.ready(t)
	ctx := t.Context()

	renewals, err := g.client.Renewals(ctx, 10, "")
	if err != nil || len(renewals) != 1 || renewals[0].Trigger != modelswap.TriggerFirst {
		t.Fatalf("renewals are %v (%v), want the first model's alone", renewals, err)
	}
	p, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "newcomer", Features: sample()})
	if err != nil || p.Score <= 0 || p.Score >= 1 || p.Schema != schema.Bank().Fingerprint() {
		t.Fatalf("got %+v (%v), want a score from the bank's schema", p, err)
	}
	match, err := g.client.Outcome(ctx, api.Outcome{PredictionID: p.PredictionID, Outcome: 1})
	if err != nil || match.CustomerID != "newcomer" || *match.Model != p.Model {
		t.Fatalf("the outcome matched %+v (%v), want the newcomer and the model %s", match, err, p.Model)
	}
	if _, err := g.client.Outcome(ctx, api.Outcome{PredictionID: p.PredictionID, Outcome: 1}); err != nil {
		t.Fatal(err)
	}
	// The newcomer can now be asked about by name alone.
	again, err := g.client.Predict(ctx, api.PredictionRequest{CustomerID: "newcomer"})
	if err != nil || again.Score != p.Score {
		t.Errorf("by customer_id the score is %v (%v), want %v", again.Score, err, p.Score)
	}

	r := g.renew(t, api.RetrainRequest{Reason: "an outcome came in", Force: true})
	if r.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	detail := r.Step(modelswap.Convert).Detail
	if got := fmt.Sprint(detail["new_labels"]); got != "1" {
		t.Errorf("new_labels is %s, want the one outcome, sent twice", got)
	}
	first := renewals[0].Step(modelswap.Convert).Detail
	if before, after := first["rows"].(float64), detail["rows"].(float64); after != before+1 {
		t.Errorf("the training data went from %v rows to %v, want one more", before, after)
	}
	row := "1," + string(schema.AppendCSV(nil, encoded(t, sample())))
	data := readAll(t, cfg.DataDir+"/renewals/"+r.ID+"/train.csv") + readAll(t, cfg.DataDir+"/renewals/"+r.ID+"/holdout.csv")
	if !strings.Contains(data, row+"\n") {
		t.Error("the newcomer's row, labelled 1, is not in the data of the new model")
	}
	after, err := g.client.Predict(ctx, api.PredictionRequest{Features: sample()})
	if err != nil || after.Model != *r.Model || after.Model == p.Model {
		t.Errorf("model %q answers (%v), want the new one, %s", after.Model, err, *r.Model)
	}
	checkContract(t, g, nil)
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// encoded is what a model sees of some features.
func encoded(t *testing.T, features map[string]any) schema.Vector {
	t.Helper()
	schema := schema.Bank()
	record := schema.NewRecord()
	for name, value := range features {
		if v := schema.SetText(record, schema.Feature(name), fmt.Sprint(value)); v != nil {
			t.Fatal(v)
		}
	}
	return schema.Encode(record)
}

// TestModelsAreSwappedUnderLoad renews the model ten times while clients
// predict. Every answer must come, and its score must be that of the model it
// names, which is asked once more at the end.
func TestModelsAreSwappedUnderLoad(t *testing.T) {
	const clients, customers = 4, 16
	swaps := testsize.Of(4, 10)
	cfg := config(t)
	cfg.Demo, cfg.KeepModels = false, swaps // to ask each of them in the end
	g := startPrepared(t, cfg, generated(1500))

	type answer struct {
		customer int
		model    string
		score    float64
	}
	var (
		mu      sync.Mutex
		answers = map[answer]int{}
		failed  atomic.Int64
		load    sync.WaitGroup
	)
	features := make([]map[string]any, customers)
	for i := range features {
		features[i] = sample()
		features[i]["duration"], features[i]["age"] = 40*i, 20+i
	}
	ctx, stop := context.WithCancel(t.Context())
	for c := range clients {
		load.Go(func() {
			for i := c; ctx.Err() == nil; i++ {
				p, err := g.client.Predict(context.Background(), api.PredictionRequest{Features: features[i%customers]})
				if err != nil {
					failed.Add(1)
					t.Errorf("a prediction failed: %v", err)
					return
				}
				mu.Lock()
				answers[answer{i % customers, p.Model, p.Score}]++
				mu.Unlock()
			}
		})
	}
	algorithms := []string{"linear-learner", "xgboost"}
	for i := range swaps {
		r := g.renew(t, api.RetrainRequest{Force: true, Overrides: modelswap.Overrides{
			Training:        modelswap.Training{Algorithm: algorithms[i%2]},
			Hyperparameters: hyperparameters(algorithms[i%2], i)}})
		if r.Status != modelswap.Succeeded {
			t.Fatalf("renewal %d is %s: %s", i, r.Status, r.Error)
		}
	}
	stop()
	load.Wait()

	models := map[string]int{}
	total := 0
	for a, n := range answers {
		want, err := g.models[0].deployer.ScoreWith(t.Context(), a.model, []schema.Vector{encoded(t, features[a.customer])})
		if err != nil {
			t.Fatal(err)
		}
		if a.score != want[0] {
			t.Errorf("model %s was named for score %v, and gives %v", a.model, a.score, want[0])
		}
		models[a.model] += n
		total += n
	}
	t.Logf("%d predictions, %d failed, by %d models", total, failed.Load(), len(models))
	if len(models) < swaps/2 {
		t.Errorf("only %d models answered: the load did not see the swaps", len(models))
	}
}

// hyperparameters make each model differ from the one before.
func hyperparameters(algorithm string, i int) modelswap.Hyperparameters {
	if algorithm == "xgboost" {
		return modelswap.Hyperparameters{"num_round": fmt.Sprint(5 + i)}
	}
	return modelswap.Hyperparameters{"wd": fmt.Sprintf("0.%02d1", i)}
}

// TestAFileIsScoredRowByRow scores a file through the command line.
func TestAFileIsScoredRowByRow(t *testing.T) {
	g := startPrepared(t, config(t), demonstrated)
	header := "customer_id;age;job;marital;education;default;housing;loan;contact;month;day_of_week;duration;campaign;pdays;previous;poutcome;emp.var.rate;cons.price.idx;cons.conf.idx;euribor3m;nr.employed;y"
	rows := []string{
		"a;34;technician;married;high.school;no;yes;no;cellular;jun;wed;190;1;3;4;success;-1.7;94.055;-39.8;0.715;4991.6;yes",
		"b;334;technician;married;high.school;no;yes;no;cellular;jun;wed;190;1;3;4;success;-1.7;94.055;-39.8;0.715;4991.6;no",
	}
	file := writeFile(t, "customers.csv", header+"\r\n"+strings.Join(rows, "\r\n")+"\r\n")
	code, out, errs := command(t, "predict", file, "--url", g.url)
	if code != exitFailed || !strings.Contains(errs, "1 of 2 rows") {
		t.Errorf("predict ended with %d (%s), want 1 for the bad row", code, errs)
	}
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(table) != 3 {
		t.Fatalf("got %q (%v), want a header and two rows", out, err)
	}
	want, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: sample()})
	if err != nil {
		t.Fatal(err)
	}
	good, bad := table[1], table[2]
	n := len(good)
	if good[0] != "a" || good[n-4] != fmt.Sprint(want.Score) || good[n-2] != want.Model || good[n-1] != "" {
		t.Errorf("the good row is %v, want score %v of %s", good, want.Score, want.Model)
	}
	if table[0][n-5] != "prediction_id" || good[n-5] == "" || bad[n-5] != "" {
		t.Errorf("prediction ids: %v of %v and %v", table[0], good, bad)
	}
	if bad[0] != "b" || bad[n-4] != "" || !strings.Contains(bad[n-1], "age") {
		t.Errorf("the bad row is %v, want an error that names age", bad)
	}
}

// TestARowThatCannotBeReadKeepsItsPlace scores a file with faults of every kind.
func TestARowThatCannotBeReadKeepsItsPlace(t *testing.T) {
	g := startPrepared(t, config(t), demonstrated)
	header := "\ufeff\"customer_id\";age;job;marital;education;default;housing;loan;contact;month;day_of_week;duration;campaign;pdays;previous;poutcome;emp.var.rate;cons.price.idx;cons.conf.idx;euribor3m;nr.employed"
	const rest = ";34;technician;married;high.school;no;yes;no;cellular;jun;wed;190;1;3;4;success;-1.7;94.055;-39.8;0.715;4991.6"
	rows := []string{
		"=1+1" + rest, // line 2: a formula
		"\"b" + rest,  // line 3: never closed
		"c" + rest,    // line 4
		"", "d;34",    // line 6: too few
		"e" + strings.Replace(rest, ";34;", ";x;", 1), // line 7: refused by the gateway
		"-7" + rest,   // line 8: a number
		"g\"h" + rest, // line 9: a stray quote
		"\"i\"" + strings.Replace(rest, "married", "\"mar\nried\"", 1), // lines 10 and 11
		"@k" + rest,
	}
	file := writeFile(t, "customers.csv", header+"\n"+strings.Join(rows, "\n"))
	code, out, errs := command(t, "predict", file, "--url", g.url)
	if code != exitFailed || !strings.Contains(errs, "4 of 9 rows could not be scored") {
		t.Errorf("predict ended with %d: %s", code, errs)
	}
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(table) != 10 || len(lines(out)) != 10 {
		t.Fatalf("got %q (%v), want a header and nine rows, each on its line", out, err)
	}
	if table[0][0] != "customer_id" {
		t.Errorf("the header begins with %q", table[0][0])
	}
	for i, want := range []struct{ id, failure string }{
		{"'=1+1", ""}, {"", "line 3: the row has a quote that is not closed"}, {"c", ""},
		{"d", "line 6: the row has 2 columns where the header has 21"}, {"e", "line 7: "}, {"-7", ""},
		{"", "line 9: the row is not CSV"}, {"i", ""}, {"'@k", ""},
	} {
		row := table[i+1]
		failure := row[len(row)-1]
		if row[0] != want.id || (failure == "") != (want.failure == "") || !strings.Contains(failure, want.failure) {
			t.Errorf("row %d is %q, want %q and %q", i, row, want.id, want.failure)
		}
		if id := row[len(row)-5]; (id == "") != (want.failure != "") {
			t.Errorf("row %d has the prediction id %q", i, id)
		}
	}
	bad := writeFile(t, "wide.csv", "\xff\xfea\x00")
	if code, _, errs := command(t, "predict", bad, "--url", g.url); code != exitFailed || !strings.Contains(errs, "UTF-16; save it as UTF-8") {
		t.Errorf("UTF-16 ended with %d: %s", code, errs)
	}
}
