package local_test

import (
	"path/filepath"
	"testing"

	"gateway/internal/datadir"
	"gateway/internal/local"
	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/schema"
	"gateway/internal/store"
)

const twoNumbers = `
name: two
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: x, type: number}
  - {name: z, type: number}
`

func TestTheEmbeddedBackEndKeepsTheContractOfPlatforms(t *testing.T) {
	schema, err := schema.Parse("two.yaml", []byte(twoNumbers))
	if err != nil {
		t.Fatal(err)
	}
	modelswaptest.TestPlatform(t, func(t *testing.T) modelswaptest.Platform {
		db, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "gateway.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		line, err := db.OpenLine(t.Context(), schema.Name)
		if err != nil {
			t.Fatal(err)
		}
		files, scorer := datadir.NewFiles(t.TempDir()), &local.Scorer{}
		trainer := local.NewTrainer(files, 1)
		t.Cleanup(func() { _ = trainer.Close() })
		return modelswaptest.Platform{Files: files, Trainer: trainer, Scorer: scorer, Schema: schema,
			Deployer: local.NewDeployer(line, files.FS(t.Context()), "endpoint", schema, scorer)}
	})
}
