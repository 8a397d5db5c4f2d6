package schema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/schema"
)

// aliased has aliases of any text for the id, the label and features.
const aliased = `name: aliased
id: {name: customer_id, alias: ["Customer ID", "Kunden-Nr."]}
label: {name: churn, alias: ["Churn?", Отток], positive: ["yes", 1], negative: ["no", 0]}
features:
  - {name: income, type: number, alias: ["Income, yearly", "Доход ₽", " Gehalt ", Income]}
  - {name: job, type: category, values: [a, b], alias: ['say "job"', 仕事]}
`

func TestAliasesMayBeAnyText(t *testing.T) {
	s := parse(t, aliased)
	if diff := cmp.Diff([]string{"Customer ID", "Kunden-Nr."}, s.IDAliases); diff != "" {
		t.Errorf("aliases of the id (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Churn?", "Отток"}, s.Label.Aliases); diff != "" {
		t.Errorf("aliases of the label (-want +got):\n%s", diff)
	}
	const want = "[7] {\"income\":1.5,\"job\":\"b\"} 1\n"
	for _, text := range []string{
		"customer_id,churn,income,job\n7,yes,1.5,b\n",
		"Customer ID,Churn?,\"Income, yearly\",\"say \"\"job\"\"\"\n7,yes,1.5,b\n",
		"Kunden-Nr.;Отток;Доход ₽; 仕事 \n7;yes;1.5;b\n",
		"Customer ID,Churn?,Gehalt,job\n7,1,1.5,b\n",
		"Customer ID,Churn?,Income,job\n7,1,1.5,b\n",
	} {
		if got := summary(t, s, csvOf(t, s, text)); got != "2 "+want {
			t.Errorf("%s: got %s", text, got)
		}
	}
	for _, text := range []string{
		`{"customer_id":"7","churn":"yes","income":1.5,"job":"b"}`,
		`{"Customer ID":"7","Churn?":1,"Income, yearly":1.5,"say \"job\"":"b"}`,
		`{"Kunden-Nr.":"7","Отток":"yes","features":{" Gehalt ":1.5,"仕事":"b"}}`,
		`{"Kunden-Nr.":"7","customer_id":"7","Отток":"yes","churn":1,"Gehalt":1.5,"job":"b"}`,
	} {
		if got := summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(text), 1<<16)); got != "1 "+want {
			t.Errorf("%s: got %s", text, got)
		}
	}
}

func TestANameAndItsAliasBothGiven(t *testing.T) {
	s := parse(t, aliased)
	for text, want := range map[string]string{
		`{"Customer ID":"7","customer_id":"8"}`: "1 [8] {} - !customer_id duplicate: is the customer id, which is given twice\n",
		`{"churn":"no","Churn?":"yes"}`:         "1 [] {} 1 !Churn? duplicate: is the label, which is given twice\n",
		`{"income":1,"Доход ₽":2}`:              "1 [] {\"income\":1} - !Доход ₽ duplicate: is feature \"income\", which is given twice\n",
	} {
		if got := summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(text), 1<<16)); got != want {
			t.Errorf("%s: got %s", text, got)
		}
	}
	_, err := schema.NewCSVTable(s, strings.NewReader("Customer ID,customer_id,Churn?,churn,income,Доход ₽\n"), 1<<16)
	want := "customer_id duplicate: is given twice\nchurn duplicate: is given twice\nДоход ₽ duplicate: is given twice"
	if got := details(violationsOf(t, err)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// Violations of a cell bear the name of its column.
func TestViolationsBearTheAlias(t *testing.T) {
	s := parse(t, aliased)
	got := summary(t, s, csvOf(t, s, "Customer ID,Churn?,Доход ₽,job\n,maybe,x,b\n"))
	want := "2 [] {\"job\":\"b\"} - !Customer ID missing: is empty" +
		" !Churn? unknown_category: must be one of \"yes\", 1, \"no\", 0, or empty !Доход ₽ type: must be a number, not \"x\"\n"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestAliasFaults(t *testing.T) {
	id := func(text string) string { return strings.Replace(small, "id: customer_id", "id: "+text, 1) }
	tests := []struct {
		name, text string
		want       []string
	}{
		{"an id without a name", id("{alias: [a]}"), []string{`s.yaml:2: "name" is missing`}},
		{"an unknown key of the id", id("{name: a, aliases: [b]}"), []string{`s.yaml:2: unknown key "aliases" in id; did you mean "alias"?`}},
		{"an id that is a list", id("[a]"), []string{"s.yaml:2: the id must be a single value"}},
		{"an alias of the id that a feature bears", id("{name: a, alias: [age]}"), []string{`s.yaml:5: name "age" is already taken by an alias of "a"`}},
		{"an alias of the label that the id bears", strings.Replace(small, "name: y,", "name: y, alias: [customer_id],", 1),
			[]string{`s.yaml:3: name "customer_id" is already taken by the id`}},
		{"an alias that repeats its name", id("{name: a, alias: [a]}"), []string{`s.yaml:2: name "a" is already taken by the id`}},
		{"an alias that is given twice", id("{name: a, alias: [b b, ' b b']}"), []string{`s.yaml:2: name "b b" is already taken by an alias of "a"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFaults(t, tt.text, tt.want) })
	}
}
