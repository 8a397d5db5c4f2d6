package modelswap

import (
	"fmt"
	"testing"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// A row is compared only if the ledger has every feature that it was scored with:
// without a personal one, neither a default nor a missing value may take its place.
func TestSamplesLeaveOutRowsWithoutPersonalFeatures(t *testing.T) {
	for more, want := range map[string]int{
		"missing: allow":                 minTraffic,
		"default: 0":                     minTraffic,
		"missing: allow, personal: true": 0,
		"default: 0, personal: true":     0,
		"exclude: true":                  minTraffic,
	} {
		s, err := schema.Parse("test.yaml", []byte(`{name: small, id: id, label: {name: y, positive: [1], negative: [0]},
			features: [{name: x, type: number, missing: allow}, {name: z, type: number, `+more+`}]}`))
		if err != nil {
			t.Fatal(err)
		}
		recent := make([]predict.Prediction, minTraffic)
		for i := range recent {
			r, err := s.DecodeStored(fmt.Appendf(nil, `{"x":%d}`, i), nil)
			if err != nil || len(s.Complete(r, "")) > 0 {
				t.Fatal(err)
			}
			recent[i] = predict.Prediction{Features: s.AppendFeatures(nil, r, false), Schema: s.Fingerprint()}
		}
		x := &stepRun{Engine: &Engine{opts: Options{Schema: s}}}
		if _, different := x.samples(recent); different != want {
			t.Errorf("%s: %d rows are compared, want %d", more, different, want)
		}
	}
}
