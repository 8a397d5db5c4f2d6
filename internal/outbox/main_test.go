package outbox

import (
	"os"
	"testing"

	"gateway/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
