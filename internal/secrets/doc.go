// Package secrets keeps passwords, tokens and keys, which are rotated while the
// gateway runs and must not be printed.
//
// A [Secret] is a value that prints as [redacted] in every way Go can print,
// log or marshal it. A [Source] is where secrets are kept. [Open] makes a
// [Rotating] of one of them, which always has its last good value at hand:
//
//	store := secrets.NewStore(secrets.Options{TTL: 5 * time.Minute}, log, registry)
//	defer store.Close()
//	tokens, err := secrets.Open(ctx, store, secrets.Declared{
//		Name: "admin", ID: "file:tokens.json", Source: secrets.NewFiles()}, secrets.ParseTokens)
//	…
//	for _, version := range tokens.Valid() { … } // never waits
//
// # How a rotation is noticed
//
// Each secret is read again in the background before its TTL ends, with jitter.
// That does not suffice for a value that was refused: from the moment a database
// takes a new password until its secret has it as the current version, only the
// pending version works.
// So [Rotating.After] is told what was refused, and offers another version: the
// current one, the pending one, the previous one, reading them where it must.
// Concurrent callers share one read, the rate of reads is limited, and no caller
// waits beyond its own deadline.
//
// # What an outage costs
//
// Nothing, while the known values still work: a read that fails, or returns a
// value that cannot be parsed, only changes what [Store.States], [Store.Check]
// and the metrics report. Only [Open] waits for a
// first value, and says in the log what it waits for.
//
// The package knows the forms of secrets, not what they are for, and no source
// but files.
package secrets
