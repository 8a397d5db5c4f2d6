// Package callctx holds what a context carries from an HTTP request to the code
// that calls the model: who made the request ([Info]), its trace ([Trace]), and a
// deadline that costs no timer ([Deadline]).
//
// It is a package of its own because package api/edge makes these contexts, and
// packages predict, scoring, aws and aws/wire read them.
package callctx
