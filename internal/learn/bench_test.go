package learn

import (
	"bytes"
	"context"
	"strconv"
	"testing"
)

// bankSized is as large as the bank's training data: 10 numbers and 53
// indicators of 10 categories.
func bankSized() Dataset {
	return synthetic(33_000, 10, []int{12, 4, 8, 3, 3, 3, 2, 10, 5, 3}, 41)
}

func BenchmarkTrain(b *testing.B) {
	data := bankSized()
	for _, algorithm := range algorithms() {
		b.Run(string(algorithm), func(b *testing.B) {
			for b.Loop() {
				if _, err := Train(context.Background(), data, Options{Algorithm: algorithm}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkScore(b *testing.B) {
	data := bankSized()
	for _, algorithm := range algorithms() {
		b.Run(string(algorithm), func(b *testing.B) {
			m := mustTrain(b, data, Options{Algorithm: algorithm})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Score(data.Row(i % data.Rows()))
			}
		})
	}
}

// BenchmarkContributions explains a row by 20 trees of depth 4, and by the default
// settings.
func BenchmarkContributions(b *testing.B) {
	data := bankSized()
	for name, parameters := range map[string]map[string]string{
		"20 trees of depth 4": {"num_round": "20", "max_depth": "4", "gamma": "0"},
		"default":             nil,
	} {
		b.Run(name, func(b *testing.B) {
			m := mustTrain(b, data, Options{Algorithm: XGBoost, Hyperparameters: parameters})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Contributions(data.Row(i % data.Rows()))
			}
		})
	}
}

func BenchmarkReadCSV(b *testing.B) {
	data := bankSized()
	csv := trainingCSV(data)
	b.SetBytes(int64(len(csv)))
	for b.Loop() {
		if _, err := ReadCSV(bytes.NewReader(csv), data.Columns); err != nil {
			b.Fatal(err)
		}
	}
}

// trainingCSV writes data as ReadCSV reads it.
func trainingCSV(data Dataset) []byte {
	var csv []byte
	for i := range data.Rows() {
		csv = strconv.AppendFloat(csv, data.Y[i], 'g', -1, 64)
		for _, x := range data.Row(i) {
			csv = strconv.AppendFloat(append(csv, ','), x, 'g', -1, 64)
		}
		csv = append(csv, '\n')
	}
	return csv
}
