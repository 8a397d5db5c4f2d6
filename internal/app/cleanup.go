package app

import (
	"errors"
	"fmt"
	"log/slog"
)

// cleanups undo what was set up, the last thing first. Each is added the
// moment the thing exists, so that a start that fails half-way leaves nothing.
type cleanups []cleanup

type cleanup struct {
	name string
	do   func() error
}

func (c *cleanups) add(name string, do func() error) { *c = append(*c, cleanup{name, do}) }

// run does all of them, whether some fail or not, and a second call nothing.
func (c *cleanups) run(log *slog.Logger) error {
	var faults []error
	for i := len(*c) - 1; i >= 0; i-- {
		one := (*c)[i]
		if err := one.do(); err != nil {
			faults = append(faults, fmt.Errorf("closing the %s: %w", one.name, err))
		}
		log.Debug("closed", "what", one.name)
	}
	*c = nil
	return errors.Join(faults...)
}
