//go:build long

package testsize

// Long is true where the build tag long is set.
const Long = true
