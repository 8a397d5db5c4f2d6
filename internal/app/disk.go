package app

import (
	"log/slog"
	"math"

	"gateway/internal/datadir"
)

// diskFloor is how much of the data dir's disk is kept for the database and its
// journal; on a small disk it is an eighth.
const diskFloor = 64 << 20

// disk is the disk of the data dir, and what the outbox may need of it.
type disk struct {
	dir       *datadir.Dir
	outboxMax int64
	waiting   func() int64 // bytes in the outbox
}

// spare returns how many bytes may be used for what callers make the gateway
// keep: what is free, less what the outbox may still grow by, less a floor for
// the database. It is negative where these lack room already. Half of a disk
// that is too small for the outbox is the outbox's.
func (d *disk) spare() int64 {
	free, size, ok := d.dir.Disk()
	if !ok {
		return math.MaxInt64
	}
	return spareOf(free, size, d.outboxMax, d.waiting())
}

func spareOf(free, size, outboxMax, waiting int64) int64 {
	return free - max(0, min(outboxMax, size/2)-waiting) - min(diskFloor, size/8)
}

// warn logs a disk that has no room for all that the outbox may hold.
func (d *disk) warn(log *slog.Logger) {
	if free, _, ok := d.dir.Disk(); ok && free < d.outboxMax-d.waiting() {
		log.Warn("the disk of the data dir has less room than GATEWAY_OUTBOX_MAX_SIZE: in a long outage of the database "+
			"it is full before the outbox is", "free_bytes", free, "outbox_max_bytes", d.outboxMax)
	}
}
