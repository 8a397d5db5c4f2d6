package app

import (
	"context"

	"gateway/internal/config"
	"gateway/internal/datadir"
	"gateway/internal/store"
)

// checkIdentity compares an open database with the one that the data dir has
// recorded, and records it where none was.
func checkIdentity(ctx context.Context, s *store.Store, engine string, dir *datadir.Dir, record datadir.DatabaseRecord) error {
	known := ""
	if record.Engine == engine {
		known = record.ID
	}
	id, err := s.Identity(ctx, known)
	if err != nil {
		return err
	}
	opened := datadir.DatabaseRecord{Engine: engine, ID: id}
	if err := dir.CheckDatabase(record, opened); err != nil {
		return &config.Error{Err: err}
	}
	if record == opened {
		return nil
	}
	return dir.RecordDatabase(opened)
}
