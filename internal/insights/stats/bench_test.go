package stats

import (
	"math/rand/v2"
	"testing"
)

func BenchmarkMeasure(b *testing.B) {
	cells := calibratedPopulation.sample(rand.New(rand.NewPCG(1, 1)), 10_000)
	for b.Loop() {
		Measure(cells)
	}
}

func BenchmarkExpect(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	cells, calibration := calibratedPopulation.sample(random, 10_000), Recalibrate(populations["overconfident"].sample(random, 5000))
	for b.Loop() {
		Expect(cells, calibration)
	}
}

func BenchmarkFindDrift(b *testing.B) {
	features := make([]Histograms, 20)
	for i := range features {
		features[i] = Histograms{Reference: []float64{0, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000}, Live: []float64{0, 100, 98, 103, 100, 85, 110, 97, 103, 105, 99}}
	}
	for b.Loop() {
		FindDrift(features)
	}
}

func BenchmarkLearnMaturity(b *testing.B) {
	counts := history{10_000, 60 * day, 0.75, exponential(3 * day)}.counts(rand.New(rand.NewPCG(1, 1)))
	for b.Loop() {
		LearnMaturity(counts, 0.95)
	}
}
