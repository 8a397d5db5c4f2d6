package modelswap

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"time"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/insights"
)

// convert turns the export into training and held-out CSV. Run again, it makes the same
// data.
func (x *stepRun) convert(ctx context.Context) (time.Duration, error) {
	watermark, err := x.servingWatermark(ctx)
	if err != nil {
		return 0, err
	}
	if x.ports.Converter != nil {
		return x.convertElsewhere(ctx, watermark)
	}
	train, holdout := x.file("train.csv"), x.file("holdout.csv")
	var report export.Report
	var profiler *insights.Profiler
	err = x.ports.Files.WriteFile(ctx, train, func(t io.Writer) error {
		return x.ports.Files.WriteFile(ctx, holdout, func(h io.Writer) error {
			items, err := export.Open(ctx, x.ports.Files.FS(ctx), x.r.State.Export)
			if err != nil {
				return exportError(err)
			}
			defer items.Close()
			profiler = insights.NewProfiler(x.opts.Schema)
			report, err = export.Convert(ctx, x.opts.Schema, items, export.Outputs{Train: t, Holdout: h},
				export.Options{Watermark: watermark, Policy: x.policy(), TempDir: x.opts.TempDir, Observe: observer(profiler)})
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	return 0, x.converted(ctx, &report, train, holdout, profiler)
}

// convertElsewhere lets the platform convert the export.
func (x *stepRun) convertElsewhere(ctx context.Context, watermark int64) (time.Duration, error) {
	profiler := insights.NewProfiler(x.opts.Schema)
	done, err := x.ports.Converter.Convert(ctx, ConversionJob{
		Export: x.r.State.Export, Folder: x.conversionFolder(), Policy: x.policy(), Watermark: watermark,
		TempDir: x.opts.TempDir, Observe: observer(profiler),
	})
	maps.Copy(x.step.Detail, done.Detail)
	if err != nil {
		return 0, exportError(err)
	}
	if !done.Done {
		return x.opts.Poll, nil
	}
	profiler.Replaced(done.Mapped, done.Defaulted)
	return 0, x.converted(ctx, &done.Report, done.Train, done.Holdout, profiler)
}

// conversionFolder has the files of a conversion elsewhere.
func (x *stepRun) conversionFolder() string { return x.file("conversion") }

// stopConversion ends what a step that failed or was cancelled has left elsewhere.
func (x *stepRun) stopConversion(ctx context.Context) {
	if x.step.Name != Convert || x.ports.Converter == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := x.ports.Converter.StopConversion(ctx, x.conversionFolder()); err != nil {
		x.log.Error("the conversion could not be stopped", "renewal", x.r.ID, "error", err)
		x.note("not_stopped", publicText(err))
	}
}

// converted records what a conversion has made, and checks that a model can be made of it.
func (x *stepRun) converted(ctx context.Context, report *export.Report, train, holdout string, profiler *insights.Profiler) error {
	x.note("items", report.Items)
	x.note("rows", report.Rows)
	x.note("skipped", report.Skipped)
	x.note("new_labels", report.NewLabels)
	x.note("train_rows", report.TrainRows)
	x.note("holdout_rows", report.HoldoutRows)
	x.note("judged_rows", report.JudgedRows)
	x.note("contributions", report.Contributions)
	x.note("left_out", report.LeftOut)
	x.note("positive", report.Positive)
	x.note("mapped", report.Mapped)
	x.note("defaulted", report.Defaulted)
	x.note("examples", report.Examples)
	x.note("sha256", report.SHA256)
	if err := report.NoRows(); err != nil {
		return err
	}
	state := &x.r.State
	switch {
	case report.TrainRows == 0 || report.JudgedRows == 0:
		return failure.Errorf(failure.Invalid, "%d labelled rows are too few to train a model: %d to train on, %d held out; import more customers with labels by gateway import",
			report.Rows, report.TrainRows, report.JudgedRows)
	case report.Positive == 0 || report.Positive == report.Rows:
		return failure.Errorf(failure.Invalid, "all %d labelled rows have the same label: there is nothing to learn from them", report.Rows)
	}
	// The customers' table may have outcomes of a database that was lost or
	// restored from a backup. Later outcomes must get higher numbers than all in
	// the data.
	if err := x.ports.Schedules.RaiseOutcomes(ctx, report.Watermark); err != nil {
		return err
	}
	if x.ports.Profiles != nil {
		if err := x.ports.Profiles.SaveProfile(ctx, state.Model, profiler.Profile(report.SHA256), Fence{x.r.ID, x.r.Revision}); err != nil {
			return err
		}
	}
	x.note("train_file", train)
	x.note("holdout_file", holdout)
	state.Train, state.Holdout, state.Settled, state.Open = train, holdout, report.Settled, report.Open
	state.Data, state.Rows, state.Watermark = report.SHA256, int(report.TrainRows), report.Watermark
	return nil
}

// observer passes rows of a conversion to a profiler.
func observer(p *insights.Profiler) func(export.Row) error {
	return func(r export.Row) error {
		return p.Add(insights.Row{Train: r.Train, CSV: r.CSV, Mapped: r.Mapped, Defaulted: r.Defaulted})
	}
}

// exportError maps the error of a missing export to io/fs's fs.ErrNotExist.
func exportError(err error) error {
	var known *failure.Error
	if errors.As(err, &known) && known.Kind == failure.NotFound {
		return &missingFiles{err}
	}
	return err
}

// missingFiles is an error that matches fs.ErrNotExist.
type missingFiles struct{ error }

// Unwrap returns the cause.
func (m *missingFiles) Unwrap() error { return m.error }

// Is implements the interface that errors.Is uses.
func (m *missingFiles) Is(target error) bool { return target == fs.ErrNotExist }
