package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

func TestWriteMakesDynamoDBsLayout(t *testing.T) {
	to := newMemTarget()
	got, err := Write(t.Context(), to, bankMeta(), eachOf(bankCustomers(100)))
	if err != nil {
		t.Fatal(err)
	}
	const own = "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4"
	if got != (Written{own, 100}) {
		t.Errorf("got %+v", got)
	}
	var kinds []string
	for _, name := range to.order {
		rest, ok := strings.CutPrefix(name, own+"/")
		if !ok {
			t.Errorf("%s lies outside", name)
		}
		if strings.HasPrefix(rest, "data/") && len(rest) == len("data/")+26+len(".json.gz") {
			rest = "data"
		}
		kinds = append(kinds, rest)
	}
	want := []string{"_started", "data", "data", "data", "manifest-files.md5", "manifest-files.json", "manifest-summary.md5", "manifest-summary.json"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("files in the order of writing (-want +got)\n%s", diff)
	}
	summary := string(to.MapFS[own+"/manifest-summary.json"].Data)
	for _, part := range []string{`"version":"2020-06-30"`, `"itemCount":100`, `"outputFormat":"DYNAMODB_JSON"`, `"s3Prefix":"exports/daily"`,
		`"exportTime":"2026-11-23T10:00:00.000Z"`, `"exportArn":"arn:aws:dynamodb:local:000000000000:table/customers/export/01700000000000-a1b2c3d4"`,
		`"manifestFilesS3Key":"` + own + `/manifest-files.json"`} {
		if !strings.Contains(summary, part) {
			t.Errorf("the summary lacks %s: %s", part, summary)
		}
	}
	again := newMemTarget()
	if _, err := Write(t.Context(), again, bankMeta(), eachOf(bankCustomers(100))); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(to.MapFS, again.MapFS, func(a, b *fstest.MapFile) bool { return bytes.Equal(a.Data, b.Data) }) {
		t.Error("the second writing gave other bytes")
	}
}

func TestItemsAreWrittenAsDynamoDBHasThem(t *testing.T) {
	one, zero := 1, 0
	words, err := schema.Parse("s", []byte("{name: s, id: key, label: {name: bought, positive: ['yes'], negative: ['no']}, features: [{name: a, type: number}]}"))
	if err != nil {
		t.Fatal(err)
	}
	both, err := schema.Parse("s", []byte("{name: s, id: key, label: {name: bought, positive: ['yes', 1], negative: ['no', 0]}, features: [{name: a, type: number}]}"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		schema *schema.Schema
		in     predict.Customer
		want   string
	}{
		"labelled":        {schema.Bank(), predict.Customer{ID: "7", Features: []byte(`{"age":34,"job":"admin.","euribor3m":-1.5e-7}`), Label: &one, Outcome: 12}, `{"Item":{"customer_id":{"S":"7"},"age":{"N":"34"},"job":{"S":"admin."},"euribor3m":{"N":"-1.5e-7"},"y":{"N":"1"},"_outcome":{"N":"12"}}}`},
		"negative":        {schema.Bank(), predict.Customer{ID: "7", Features: []byte(`{}`), Label: &zero}, `{"Item":{"customer_id":{"S":"7"},"y":{"N":"0"}}}`},
		"unlabelled":      {schema.Bank(), predict.Customer{ID: "7"}, `{"Item":{"customer_id":{"S":"7"}}}`},
		"escapes":         {schema.Bank(), predict.Customer{ID: "a\"\n\u0002", Features: []byte(`{"jo\u0062":"\"x\\"}`)}, `{"Item":{"customer_id":{"S":"a\"\n\u0002"},"job":{"S":"\"x\\"}}}`},
		"label in words":  {words, predict.Customer{ID: "7", Label: &one}, `{"Item":{"key":{"S":"7"},"bought":{"S":"yes"}}}`},
		"label both ways": {both, predict.Customer{ID: "7", Label: &one}, `{"Item":{"key":{"S":"7"},"bought":{"N":"1"}}}`},
		"older schema's":  {schema.Bank(), predict.Customer{ID: "7", Features: []byte(`{"shoe":44,"vip":true,"gone":null}`)}, `{"Item":{"customer_id":{"S":"7"},"shoe":{"N":"44"},"vip":{"BOOL":true},"gone":{"NULL":true}}}`},
		"name taken over": {schema.Bank(), predict.Customer{ID: "7", Features: []byte(`{"y":5,"_outcome":6,"customer_id":"x","age":1}`), Label: &one}, `{"Item":{"customer_id":{"S":"7"},"age":{"N":"1"},"y":{"N":"1"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := appendItem(nil, test.schema, test.in)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want+"\n" {
				t.Errorf("got  %swant %s", got, test.want)
			}
			if _, err := newParser().parse(got); err != nil {
				t.Errorf("cannot be read back: %v", err)
			}
		})
	}
}

// What is written is read back: every customer, with every value.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	s := schema.Bank()
	want := bankCustomers(250)
	items, err := itemsOf(t, writeBank(t, 250).MapFS, ".")
	if err != nil || len(items) != len(want) {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for i, it := range items {
		r := s.NewRecord()
		for _, a := range it.Attributes {
			if f := s.Feature(a.Name); f >= 0 {
				if v := s.SetText(r, f, a.Text); v != nil {
					t.Fatal(v)
				}
			}
		}
		stored, err := s.DecodeStored(want[i].Features, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.AppendFeatures(nil, r, true), s.AppendFeatures(nil, stored, true); string(got) != string(want) {
			t.Errorf("got %s, want %s", got, want)
		}
		id, _ := it.Attribute("customer_id")
		_, labelled := it.Attribute("y")
		outcome, _ := it.Attribute(OutcomeAttribute)
		if id.Text != want[i].ID || labelled != (want[i].Label != nil) || (outcome.Text != "") != (want[i].Outcome > 0) {
			t.Errorf("item %d: %+v", i, it)
		}
	}
}

func TestAnExportThatFailsIsNotComplete(t *testing.T) {
	broken := errors.New("the database went away")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	customers := bankCustomers(100)
	for name, test := range map[string]struct {
		ctx  context.Context
		fail string
		each func(func(predict.Customer) error) error
		want string
	}{
		"the source fails": {t.Context(), "", func(fn func(predict.Customer) error) error {
			if err := eachOf(customers[:60])(fn); err != nil {
				return err
			}
			return broken
		}, broken.Error()},
		"a data file fails":        {t.Context(), ".json.gz", eachOf(customers), ".json.gz: no space"},
		"the manifest fails":       {t.Context(), "manifest-files.json", eachOf(customers), "manifest-files.json: no space"},
		"the summary fails":        {t.Context(), "manifest-summary.json", eachOf(customers), "manifest-summary.json: no space"},
		"cancelled":                {cancelled, "", eachOf(customers), context.Canceled.Error()},
		"a customer without an id": {t.Context(), "", eachOf([]predict.Customer{{}}), "no id"},
		"features that are none":   {t.Context(), "", eachOf([]predict.Customer{{ID: "8", Features: []byte(`[1]`)}}), `customer "8"`},
		"features that are nested": {t.Context(), "", eachOf([]predict.Customer{{ID: "8", Features: []byte(`{"a":[1]}`)}}), `"a" is neither`},
		"features that are cut":    {t.Context(), "", eachOf([]predict.Customer{{ID: "8", Features: []byte(`{"a":1`)}}), `customer "8"`},
	} {
		t.Run(name, func(t *testing.T) {
			to := newMemTarget()
			to.fail = test.fail
			_, err := Write(test.ctx, to, bankMeta(), test.each)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v does not say %q", err, test.want)
			}
			var e *failure.Error
			if _, err := Open(t.Context(), to.MapFS, "."); !errors.As(err, &e) || e.Kind != failure.Conflict {
				t.Errorf("Open gave %v", err)
			}
		})
	}
}

func TestExportsMustHaveASaneID(t *testing.T) {
	for _, id := range []string{"", "..", "a/b", ".hidden", strings.Repeat("x", 200)} {
		meta := bankMeta()
		meta.ID = id
		if _, err := Write(t.Context(), newMemTarget(), meta, eachOf(nil)); err == nil {
			t.Errorf("%q was taken", id)
		}
	}
}

func TestPartsAreBoundedInBytesToo(t *testing.T) {
	big := []byte(fmt.Sprintf(`{"job":%q}`, strings.Repeat("x", 17<<20)))
	to := newMemTarget()
	_, err := Write(t.Context(), to, bankMeta(), eachOf([]predict.Customer{{ID: "1", Features: big}, {ID: "2", Features: big}, {ID: "3", Features: big}}))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(to.order, " "), ".json.gz"); n != 2 {
		t.Errorf("%d parts", n)
	}
}
