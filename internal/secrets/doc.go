// Package secrets holds what must not be seen and does not last: passwords,
// tokens and keys that somebody else rotates while the gateway runs.
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
// Each secret is looked at again before its TTL ends, in the background, at a
// time that chance shifts a little. That is enough for whoever can wait. A
// value that was refused cannot: between the moment a database takes a new
// password and the moment its secret says so, only the pending version works.
// So [Rotating.After] is told what was refused, and offers another version: the
// current one, the pending one, the previous one, reading them where it must.
// However many ask, they share one read; reads are limited in number; and
// nobody waits beyond his own deadline.
//
// # What an outage costs
//
// Nothing, while the values that are known still work: a read that fails, or
// brings something that cannot be understood, changes nothing but what
// [Store.States], [Store.Check] and the metrics say. Only [Open] waits for a
// first value, and says in the log what it waits for.
//
// The package knows the forms of secrets, not what they are for, and no source
// but files.
package secrets
