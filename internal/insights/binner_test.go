package insights

import (
	"context"
	"errors"
	"testing"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// fakeProfiles has the profile of one model.
type fakeProfiles struct {
	profile *Profile
	err     error
	looks   int
}

func (f *fakeProfiles) Profile(_ context.Context, model string) (*Profile, *Holdout, error) {
	f.looks++
	if f.err != nil || model != "m" {
		return nil, nil, f.err
	}
	return f.profile, nil, nil
}

func (f *fakeProfiles) NewestProfile(context.Context) (string, *Profile, error) {
	return "m", f.profile, f.err
}

// A prediction gets its bins from the request once the bins of its model are known,
// and before that from its recorded features.
func TestBinner(t *testing.T) {
	s := parse(t, shopYAML)
	p := NewProfiler(s)
	known := record(t, s, `{"visits":3,"plan":"pro","income":1.5,"secret":7,"since":"2026-01-01","code":"a"}`)
	if err := p.Add(rowOf(s, known, true, 1)); err != nil {
		t.Fatal(err)
	}
	profiles := &fakeProfiles{profile: p.Profile("")}
	b := NewBinner(s, profiles)
	asked := record(t, s, `{"visits":9,"plan":"other","income":1.5,"secret":7,"since":"2026-01-01","code":"b"}`)
	if got := b.AppendBins([]byte("x"), "m", asked); string(got) != "x" {
		t.Errorf("bins of a model that is not known: %q", got)
	}
	rows := []predict.Prediction{
		{Model: "m", Schema: s.Fingerprint(), Features: s.AppendFeatures(nil, asked, false)},
		{Model: "m", Schema: s.Fingerprint(), Bins: []byte("kept")},
		{Model: "m", Schema: "another", Features: []byte(`{}`)},
		{Model: "adopted", Schema: s.Fingerprint(), Features: []byte(`{}`)},
		{Model: "adopted", Schema: s.Fingerprint(), Features: []byte(`{}`)},
		{Model: "m", Schema: s.Fingerprint(), Features: []byte(`broken`)},
	}
	profiles.err = errors.New("the database is down")
	if err := b.Fill(t.Context(), rows); err == nil {
		t.Error("a failing database is not reported: rows would be stored without bins")
	}
	profiles.err = nil
	profiles.looks = 0
	if err := b.Fill(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"244-45", "kept", "", "", "", ""} { // free, which replaced other
		if got := string(rows[i].Bins); got != want {
			t.Errorf("row %d has bins %q, want %q", i, got, want)
		}
	}
	if profiles.looks != 2 {
		t.Errorf("%d look-ups of two models", profiles.looks)
	}
	if got := string(b.AppendBins([]byte("x"), "m", asked)); got != "x214-45" { // unseen
		t.Errorf("the request has bins %q", got)
	}
}

func TestBinningARequestDoesNotAllocate(t *testing.T) {
	s := parse(t, shopYAML)
	p := NewProfiler(s)
	r := record(t, s, `{"visits":3,"plan":"pro","income":1.5,"secret":7,"since":"2026-01-01","code":"a"}`)
	if err := p.Add(rowOf(s, r, true, 1)); err != nil {
		t.Fatal(err)
	}
	b := NewBinner(s, &fakeProfiles{profile: p.Profile("")})
	if err := b.Fill(t.Context(), []predict.Prediction{{Model: "m", Schema: s.Fingerprint(), Features: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { text = b.AppendBins(text[:0], "m", r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkBins is what binning adds to a prediction of the bank.
func BenchmarkBins(b *testing.B) {
	s := schema.Bank()
	r, err := s.DecodeStored([]byte(`{"age":34,"job":"technician","marital":"married","education":"university.degree","default":"no",`+
		`"housing":"yes","loan":"no","contact":"cellular","month":"may","day_of_week":"wed","duration":190,"campaign":1,`+
		`"pdays":999,"previous":0,"poutcome":"nonexistent","emp_var_rate":-1.7,"cons_price_idx":94.055,"cons_conf_idx":-39.8,`+
		`"euribor3m":0.715,"nr_employed":4991.6}`), nil)
	if err != nil {
		b.Fatal(err)
	}
	p := NewProfiler(s)
	for i := range 1000 { // ten ranges of each number
		vector := s.Encode(r)
		for c := range vector {
			if vector[c] > 1 {
				vector[c] *= float64(i) / 500
			}
		}
		if err := p.Add(Row{Train: true, CSV: schema.AppendTrainingCSV(nil, i%2, vector)}); err != nil {
			b.Fatal(err)
		}
	}
	binner := NewBinner(s, &fakeProfiles{profile: p.Profile("")})
	if err := binner.Fill(b.Context(), []predict.Prediction{{Model: "m", Schema: s.Fingerprint(), Features: []byte(`{}`)}}); err != nil {
		b.Fatal(err)
	}
	text := make([]byte, 0, 64)
	for b.Loop() {
		if text = binner.AppendBins(text[:0], "m", r); len(text) < 20 {
			b.Fatal("no bins")
		}
	}
}
