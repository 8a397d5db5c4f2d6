package main

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/gatewaytest"
)

// TestAFileIsScoredRowByRow scores a file through the command line.
func TestAFileIsScoredRowByRow(t *testing.T) {
	g := serveFilled(t, newConfig(t))
	header := "customer_id;age;job;marital;education;default;housing;loan;contact;month;day_of_week;duration;campaign;pdays;previous;poutcome;emp.var.rate;cons.price.idx;cons.conf.idx;euribor3m;nr.employed;y"
	rows := []string{
		"a;34;technician;married;high.school;no;yes;no;cellular;jun;wed;190;1;3;4;success;-1.7;94.055;-39.8;0.715;4991.6;yes",
		"b;334;technician;married;high.school;no;yes;no;cellular;jun;wed;190;1;3;4;success;-1.7;94.055;-39.8;0.715;4991.6;no",
	}
	file := gatewaytest.WriteFile(t, "customers.csv", header+"\r\n"+strings.Join(rows, "\r\n")+"\r\n")
	code, out, errs := command(t, "predict", file, "--url", g.url)
	if code != exitFailed || !strings.Contains(errs, "1 of 2 rows") {
		t.Errorf("predict ended with %d (%s), want 1 for the bad row", code, errs)
	}
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(table) != 3 {
		t.Fatalf("got %q (%v), want a header and two rows", out, err)
	}
	want, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample()})
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
	g := serveFilled(t, newConfig(t))
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
	file := gatewaytest.WriteFile(t, "customers.csv", header+"\n"+strings.Join(rows, "\n"))
	code, out, errs := command(t, "predict", file, "--url", g.url)
	if code != exitFailed || !strings.Contains(errs, "4 of 9 rows could not be scored") {
		t.Errorf("predict ended with %d: %s", code, errs)
	}
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(table) != 10 || len(gatewaytest.Lines(out)) != 10 {
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
	bad := gatewaytest.WriteFile(t, "wide.csv", "\xff\xfea\x00")
	if code, _, errs := command(t, "predict", bad, "--url", g.url); code != exitFailed || !strings.Contains(errs, "the file is UTF-16; it was decoded") {
		t.Errorf("UTF-16 ended with %d: %s", code, errs)
	}
}

// TestPredictKeepsNamesApart scores a file whose columns have the names of a
// prediction's.
func TestPredictKeepsNamesApart(t *testing.T) {
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	var text strings.Builder
	text.WriteString("customer_id,score,model,churned\n")
	for i := range 300 {
		fmt.Fprintf(&text, "c%d,%d,%s,%d\n", i, i%40, []string{"sedan", "van"}[i%2], min(1, i%40/30+i%7/6))
	}
	file := gatewaytest.WriteFile(t, "cars.csv", text.String())
	if code, out, errs := command(t, "init", file); code != exitOK {
		t.Fatalf("init ended with %d: %s%s", code, out, errs)
	}
	code, out, errs := command(t, "predict", file)
	if want := "customer_id,score,model,churned,prediction_id,score_2,predicted_label,model_2,error"; code != exitOK || gatewaytest.Lines(out)[0] != want {
		t.Errorf("predict ended with %d, the header is %s", code, gatewaytest.Lines(out)[0])
	}
	if want := "the prediction is in prediction_id, score_2, predicted_label, model_2, error\n"; !strings.Contains(errs, want) {
		t.Errorf("predict does not say %q: %s", want, errs)
	}
}
