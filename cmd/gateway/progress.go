package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"

	"gateway/internal/datadir"
)

// progress shows the progress of long work: a bar on a terminal (with rate and
// time left), a line from time to time elsewhere.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar
	noun  string
	start time.Time
	last  time.Time
	rows  int64
}

// plainEvery is the time between two such lines.
const plainEvery = 5 * time.Second

// newProgress counts rows of work. size is that of the input in bytes, which the
// bar measures by; 0 or less if unknown.
func newProgress(out io.Writer, noun string, size int64) *progress {
	now := time.Now()
	p := &progress{out: out, noun: noun, start: now, last: now}
	if isTerminal(out) {
		p.bar = progressbar.NewOptions64(max(size, -1), progressbar.OptionSetWriter(out),
			progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetDescription(noun), progressbar.OptionClearOnFinish())
	}
	return p
}

// reader counts the bytes read from r.
func (p *progress) reader(r io.Reader) io.Reader {
	if p.bar == nil {
		return r
	}
	reader := progressbar.NewReader(r, p.bar)
	return &reader
}

// writer counts the lines written to w.
func (p *progress) writer(w io.Writer) io.Writer { return &countedWriter{w, p} }

type countedWriter struct {
	to io.Writer
	p  *progress
}

// Write implements io.Writer.
func (c *countedWriter) Write(text []byte) (int, error) {
	n, err := c.to.Write(text)
	c.p.set(c.p.rows + int64(bytes.Count(text[:n], []byte{'\n'})))
	if c.p.bar != nil {
		_ = c.p.bar.Add(n)
	}
	return n, err
}

// set says how many rows are done.
func (p *progress) set(rows int64) {
	p.rows = rows
	now := time.Now()
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%d %s", rows, p.noun))
	} else if now.Sub(p.last) >= plainEvery {
		p.last = now
		fmt.Fprintf(p.out, "%d %s, %.0f a second\n", rows, p.noun, p.rate())
	}
}

func (p *progress) rate() float64 {
	return float64(p.rows) / max(time.Since(p.start).Seconds(), 1e-3)
}

// done removes the bar and returns how long the work took.
func (p *progress) done() time.Duration {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
	return time.Since(p.start).Round(time.Millisecond)
}

// openInput opens a file and returns its size; "-" is standard input.
func openInput(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), -1, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// printJSON writes a value for machines.
func printJSON(c *console, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "%s\n", text)
	return err
}

// writeOutput writes a file that appears whole or not at all. Without a path, or
// with -, it writes to standard output.
func writeOutput(c *console, path string, write func(io.Writer) error) error {
	if path == "" || path == "-" {
		w := bufio.NewWriter(c.stdout)
		return errors.Join(write(w), w.Flush())
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return datadir.NewFiles(filepath.Dir(full)).WriteFile(c.ctx, filepath.Base(full), write)
}
