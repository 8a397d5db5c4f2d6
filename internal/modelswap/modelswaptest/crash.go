package modelswaptest

import (
	"context"
	"fmt"
	"io"
	"path"
	"sync"
	"time"

	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Crash stands between an engine and its ports and calls reach, with the name
// of the point, before and after each call that a renewal makes, and inside of
// those that write a file. A reach that kills the process there shows what a
// process that dies there leaves behind.
//
// The name of a point says which call it is, counted from 1 where a renewal
// makes it several times: "ScoreWith 2 before". A save is named by where it
// leaves the renewal: "save train running after". Looks that are repeated until
// something has happened are named once.
func Crash(p modelswap.Ports, reach func(point string)) modelswap.Ports {
	c := &crash{reach: reach, counts: make(map[string]int)}
	p.Renewals = crashRenewals{p.Renewals, c}
	p.Models = crashModels{p.Models, c}
	p.Traffic = crashTraffic{p.Traffic, c}
	p.Exporter = crashExporter{p.Exporter, c}
	if p.Converter != nil {
		p.Converter = crashConverter{p.Converter, c}
	}
	p.Files = crashFiles{p.Files, c}
	p.Trainer = crashTrainer{p.Trainer, c}
	p.Deployer = crashDeployer{p.Deployer, c}
	p.Scorer = crashScorer{p.Scorer, c}
	return p
}

// The ports under names that differ from those of their methods, to embed them.
type (
	renewalsPort = modelswap.Renewals
	modelsPort   = modelswap.Models
)

type crash struct {
	reach  func(point string)
	mu     sync.Mutex
	counts map[string]int // calls in the renewal under way, by name
}

type crashConverter struct {
	modelswap.Converter
	*crash
}

// Convert implements modelswap.Converter. It is polled, so its points are those of each
// state that it returns.
func (c crashConverter) Convert(ctx context.Context, job modelswap.ConversionJob) (modelswap.Conversion, error) {
	out, err := c.Converter.Convert(ctx, job)
	c.reach(fmt.Sprintf("Convert done %v", out.Done))
	return out, err
}

// number counts a call.
func (c *crash) number(call string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[call]++
	return fmt.Sprintf("%s %d", call, c.counts[call])
}

// forget begins to count anew.
func (c *crash) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.counts)
}

// around calls do between two points.
func (c *crash) around(name string, do func() error) error {
	c.reach(name + " before")
	err := do()
	c.reach(name + " after")
	return err
}

type crashRenewals struct {
	renewalsPort
	*crash
}

func (c crashRenewals) InsertRenewal(ctx context.Context, r *modelswap.Renewal) error {
	c.forget()
	return c.around("InsertRenewal", func() error { return c.renewalsPort.InsertRenewal(ctx, r) })
}

func (c crashRenewals) ClaimRenewal(ctx context.Context, owner, schema string, lease time.Duration) (*modelswap.Renewal, error) {
	r, err := c.renewalsPort.ClaimRenewal(ctx, owner, schema, lease)
	if r != nil {
		c.reach("ClaimRenewal after")
	}
	return r, err
}

func (c crashRenewals) UpdateRenewal(ctx context.Context, r *modelswap.Renewal) error {
	name := "save " + string(r.Status)
	if s := r.Current(); s != nil {
		name = fmt.Sprintf("save %s %s", s.Name, s.Status)
	}
	return c.around(name, func() error { return c.renewalsPort.UpdateRenewal(ctx, r) })
}

type crashModels struct {
	modelsPort
	*crash
}

func (c crashModels) InsertModel(ctx context.Context, m modelswap.Model, by modelswap.Fence) error {
	return c.around(c.number("InsertModel"), func() error { return c.modelsPort.InsertModel(ctx, m, by) })
}

func (c crashModels) MarkServing(ctx context.Context, name string, at time.Time) error {
	return c.around("MarkServing", func() error { return c.modelsPort.MarkServing(ctx, name, at) })
}

func (c crashModels) MarkRemoved(ctx context.Context, name string, at time.Time) error {
	return c.around("MarkRemoved", func() error { return c.modelsPort.MarkRemoved(ctx, name, at) })
}

type crashTraffic struct {
	modelswap.Traffic
	*crash
}

func (c crashTraffic) RecentPredictions(ctx context.Context, model string, limit int) ([]predict.Prediction, error) {
	c.reach("RecentPredictions before")
	return c.Traffic.RecentPredictions(ctx, model, limit)
}

type crashExporter struct {
	modelswap.Exporter
	*crash
}

func (c crashExporter) StartExport(ctx context.Context, name string) error {
	return c.around("StartExport", func() error { return c.Exporter.StartExport(ctx, name) })
}

type crashFiles struct {
	modelswap.Files
	*crash
}

func (c crashFiles) WriteFile(ctx context.Context, name string, write func(io.Writer) error) error {
	point := "WriteFile " + path.Base(name)
	return c.around(point, func() error {
		return c.Files.WriteFile(ctx, name, func(w io.Writer) error {
			err := write(&crashWriter{w, c.crash, point})
			c.reach(point + " written")
			return err
		})
	})
}

func (c crashFiles) RemoveAll(ctx context.Context, name string) error {
	return c.around(c.number("RemoveAll"), func() error { return c.Files.RemoveAll(ctx, name) })
}

// crashWriter reaches a point when something has been written.
type crashWriter struct {
	io.Writer
	*crash
	point string
}

func (w *crashWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if w.point != "" {
		w.reach(w.point + " inside")
		w.point = ""
	}
	return n, err
}

type crashTrainer struct {
	modelswap.Trainer
	*crash
}

func (c crashTrainer) StartTraining(ctx context.Context, job modelswap.TrainingJob) error {
	return c.around("StartTraining", func() error { return c.Trainer.StartTraining(ctx, job) })
}

func (c crashTrainer) TrainingStatus(ctx context.Context, name string) (modelswap.TrainingStatus, error) {
	status, err := c.Trainer.TrainingStatus(ctx, name)
	c.reach(fmt.Sprintf("TrainingStatus %s", status.State))
	return status, err
}

type crashDeployer struct {
	modelswap.Deployer
	*crash
}

func (c crashDeployer) RegisterModel(ctx context.Context, name, artifact, schema string) error {
	return c.around("RegisterModel", func() error { return c.Deployer.RegisterModel(ctx, name, artifact, schema) })
}

func (c crashDeployer) ScoreWith(ctx context.Context, name string, rows []schema.Vector) ([]float64, error) {
	c.reach(c.number("ScoreWith") + " before")
	return c.Deployer.ScoreWith(ctx, name, rows)
}

func (c crashDeployer) LearnedFigures(ctx context.Context, name string, h modelswap.HeldOut) (modelswap.LearnedFigures, error) {
	c.reach("LearnedFigures before")
	return c.Deployer.LearnedFigures(ctx, name, h)
}

func (c crashDeployer) DeployModel(ctx context.Context, change modelswap.Change) (version int64, err error) {
	err = c.around("DeployModel", func() error { version, err = c.Deployer.DeployModel(ctx, change); return err })
	return version, err
}

func (c crashDeployer) HoldServing(ctx context.Context, change modelswap.Change) error {
	return c.around("HoldServing", func() error { return c.Deployer.HoldServing(ctx, change) })
}

func (c crashDeployer) RemoveModel(ctx context.Context, name string) error {
	return c.around("RemoveModel", func() error { return c.Deployer.RemoveModel(ctx, name) })
}

type crashScorer struct {
	predict.Scorer
	*crash
}

func (c crashScorer) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	c.reach("Score before")
	scores, err := c.Scorer.Score(ctx, rows, explain)
	c.reach("Score after")
	return scores, err
}
