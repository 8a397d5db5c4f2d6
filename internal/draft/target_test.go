package draft_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gateway/internal/draft"
	"gateway/internal/schema"
)

// merchants is a table in which each of many merchants moves the log-odds by effect
// times a normal number.
func merchants(rows, merchants int, effect float64) string {
	random := rand.New(rand.NewPCG(3, 4))
	moves := make([]float64, merchants)
	for k := range moves {
		moves[k] = effect * random.NormFloat64()
	}
	return numbered("merchant,amount,y", rows, func(int) string {
		k, y := random.IntN(merchants), 0
		if random.Float64() < 1/(1+math.Exp(1-moves[k])) {
			y = 1
		}
		return fmt.Sprintf("shop %04d,%d,%d", k, random.IntN(500), y)
	})
}

func TestManyTextsAreCodedByTheLabelWhereThatTells(t *testing.T) {
	merchant := func(csv string, target bool) (schema.Feature, string) {
		d := infer(t, csv, draft.Options{Target: target})
		accepted(t, d.Schema, csv)
		return d.Schema.Features[d.Schema.Feature("merchant")], string(d.YAML)
	}
	telling, silent := merchants(6000, 1500, 1), merchants(6000, 1500, 0)
	f, text := merchant(telling, true)
	if f.Encode != schema.Target || f.Exclude || f.Unknown != "other" || len(f.Values) < 1400 || !slices.Contains(f.Values, "shop 0007") {
		t.Errorf("got %d values, encode %s, excluded %v", len(f.Values), f.Encode, f.Exclude)
	}
	if want := "coded by the rate of the label in its rows, computed within folds. Alone that reaches an AUC of 0."; !strings.Contains(text, want) {
		t.Errorf("the draft does not say %q", want)
	}
	if f, _ := merchant(telling, false); !f.Exclude || f.Encode == schema.Target {
		t.Errorf("without that possibility: %s, excluded %v", f.Encode, f.Exclude)
	}
	if f, _ := merchant(silent, true); !f.Exclude {
		t.Errorf("values that say nothing: %s, excluded %v", f.Encode, f.Exclude)
	}
	if f, _ := merchant(merchants(6000, 150, 1), true); f.Encode != schema.OneHot || len(f.Values) < 150 {
		t.Errorf("values of which none is lost: %s", f.Encode)
	}
}

// TestListedValuesAreBounded: a schema file has a maximum size.
func TestListedValuesAreBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	header := "y"
	for k := range 12 {
		header += fmt.Sprintf(",text%d", k)
	}
	csv := numbered(header, 16_000, func(int) string {
		row := fmt.Sprint(random.IntN(2))
		for k := range 12 {
			value := random.IntN(3000)
			if value%2 != int(row[0]-'0') && random.IntN(10) < 6 {
				value ^= 1
			}
			row += fmt.Sprintf(",%040d of %d", value, k)
		}
		return row
	})
	d := infer(t, csv, draft.Options{Target: true, Label: "y"})
	coded := len(d.Schema.CodedColumns())
	if coded < 2 || coded == 12 {
		t.Errorf("%d columns are coded by the label; the file has %d bytes\n%.1500s", coded, len(d.YAML), d.YAML)
	}
	accepted(t, d.Schema, csv)
}
