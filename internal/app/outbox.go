package app

import (
	"gateway/internal/outbox"
	"gateway/internal/predict"
	"gateway/internal/store"
)

// openOutbox opens the outbox in the data dir, which gives predictions to the
// ledger.
func (c *components) openOutbox(ledger predict.Ledger) (err error) {
	options := outbox.Options{
		MaxBytes: int64(c.cfg.Outbox.MaxSize),
		Policy:   outbox.Policy(c.cfg.Outbox.Policy),
		Sync:     outbox.Sync(c.cfg.Outbox.Sync),
		Shared:   c.cfg.DBSecretID != "",
	}
	if c.cfg.DBSecretID == "" {
		options.Flush, options.Gentle = c.store.Flush, store.GentleRows
	}
	if c.outbox, err = outbox.Open(c.dir.Path("outbox"), ledger, options, c.log, c.registry); err != nil {
		return err
	}
	c.cleanups.add("outbox", c.outbox.Close)
	c.disk = disk{c.dir, int64(c.cfg.Outbox.MaxSize), func() int64 { return c.outbox.Stats().Bytes }}
	c.disk.warn(c.log)
	return nil
}
