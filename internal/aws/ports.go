package aws

import (
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// The ports that this back end implements.
var (
	_ modelswap.Files       = (*Files)(nil)
	_ modelswap.Exporter    = (*Exporter)(nil)
	_ modelswap.Exporter    = (*ExistingExporter)(nil)
	_ modelswap.Converter   = (*Converter)(nil)
	_ modelswap.Trainer     = (*Trainer)(nil)
	_ modelswap.Deployer    = (*Deployer)(nil)
	_ predict.Scorer        = (*Scorer)(nil)
	_ predict.Customers     = (*Customers)(nil)
	_ predict.CustomerStore = (*Customers)(nil)
	_ predict.Ledger        = (*LabelSync)(nil)
)
