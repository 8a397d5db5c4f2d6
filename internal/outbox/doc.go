// Package outbox keeps predictions on local disk until the database has them.
//
// An [Outbox] stands before the ledger in the database and is a ledger itself:
//
//	box, err := outbox.Open(dir, database, outbox.Options{}, log, registry)
//	service := predict.NewService(schema, scorer, customers, box, log, registry)
//	go box.Run(ctx)
//
// Append returns once the predictions are on disk; the database is never on a
// request's path. Run drains them to the database in batches and in order. A row
// that is drained twice is stored once, since the database ignores an id that it
// has. Outcomes go to the database at once, after the predictions in the outbox
// that they refer to.
//
// # On disk
//
// The outbox is a folder of segments, files named by their number, of frames
// that each hold one prediction and its checksum. Only the newest segment is
// written. The process that has drained a segment removes it. Nothing on disk
// records the progress of a drain: a start drains all that it finds. A database
// in this process stores rows without flushing them; it is flushed before their
// segment is removed. Numbers are used once, in the folders "refused" and
// "damaged" as well. Nothing in the folder names the machine or the path, so it
// can be moved with its data directory.
//
// # What may go wrong
//
//	killed                    what was answered is in the segments; a torn tail is cut,
//	                          and up to one segment is drained twice
//	power cut                 the same, with Sync Always
//	a segment is damaged      its good rows are drained, the file is moved to "damaged"
//	the database refuses rows those alone are moved to "refused", in the same format
//	the bound is reached      the policy: the oldest segment is removed, or the caller is refused
//	the disk is full          the same policy
//	a file is no segment      it is left as it is
//
// All of it is counted, and logged when it begins and when it ends. The package
// contains no SQL and no HTTP.
package outbox
