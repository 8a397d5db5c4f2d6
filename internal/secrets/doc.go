// Package secrets reads passwords, tokens and keys and keeps them up to date while they
// are rotated.
//
// A [Secret] is a value that package fmt, loggers and encoders print as [redacted]. A
// [Source] stores secrets. [Open] returns a [Rotating] for one of them, which always has the
// last valid value:
//
//	store := secrets.NewStore(secrets.Options{TTL: 5 * time.Minute}, log, registry)
//	defer store.Close()
//	tokens, err := secrets.Open(ctx, store, secrets.Declared{
//		Name: "admin", ID: "file:tokens.json", Source: secrets.NewFiles()}, secrets.ParseTokens)
//	…
//	for _, version := range tokens.Valid() { … } // never waits
//
// # Rotation
//
// Each secret is read again in the background before its TTL ends, with jitter. That is not
// enough if a value was refused: between the time at which a database accepts a new
// password and the time at which the secret has it as its current version, only the pending
// version works. A caller therefore passes the refused versions to [Rotating.After], which
// returns another version: the current, the pending or the previous one. It reads them if
// necessary. Concurrent callers share one read, the rate of reads is limited, and no caller
// waits beyond its own deadline.
//
// # Outages
//
// An outage of the source has no effect while the known values work. A failed read, or a
// value that cannot be parsed, only changes what [Store.States], [Store.Check] and the
// metrics report. Only [Open] waits for a first value, and logs that it waits.
//
// The package parses secrets and does not use them. Files are the only source in it.
package secrets
