package local

import (
	"gateway/internal/datadir"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// The ports that this back end implements.
var (
	_ modelswap.Files    = (*datadir.Files)(nil)
	_ modelswap.Exporter = (*Exporter)(nil)
	_ modelswap.Trainer  = (*Trainer)(nil)
	_ modelswap.Deployer = (*Deployer)(nil)
	_ predict.Scorer     = (*Scorer)(nil)
)
