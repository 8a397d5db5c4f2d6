// Package testsize tells tests how much of a large matrix to run.
//
// A plain `go test` runs a sample of each matrix: a few of the points at which
// a process is killed, a few of the rotations. With the build tag long it runs
// them all:
//
//	rounds := testsize.Of(5, 50) // 5, or 50 with -tags long
//
// Every guarantee keeps a test in the sample. docs/testing.md lists what the
// sample holds and what the long run adds.
package testsize

// Of returns quick, or long where the build tag long is set.
func Of[T any](quick, long T) T {
	if Long {
		return long
	}
	return quick
}
