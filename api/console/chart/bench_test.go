package chart

import "testing"

// BenchmarkChart draws each sample, with its table.
func BenchmarkChart(b *testing.B) {
	for name, chart := range samples() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				size = len(chart.SVG("a"))
				chart.Table()
			}
			b.ReportMetric(float64(size), "bytes/picture")
		})
	}
}
