// Package failure defines the errors that packages share: kinds that a caller can
// act on, and violations of a schema by field. It also makes ids.
package failure
