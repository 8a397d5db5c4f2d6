package export

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// tinySchema has one feature of every sort that the policy distinguishes.
func tinySchema(t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("tiny.yaml", []byte(`
name: tiny
id: {name: customer_id, alias: [Customer No.]}
label: {name: y, alias: ["yes, or no?"], positive: [1, "yes"], negative: [0, "no"]}
features:
  - {name: age, type: integer, min: 17, max: 120}
  - {name: job, type: category, values: [admin., services, unknown], unknown: unknown, encode: ordinal}
  - {name: month, type: category, values: [jan, feb, None], encode: ordinal}
  - {name: pdays, type: integer, min: 0, default: 999}
  - {name: rate, type: number, alias: [emp.rate]}
  - {name: wealth, type: integer, max: 10, default: 0, personal: true}
  - {name: note, type: category, values: [a, b], exclude: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// memTarget is a Target and a file system in memory.
type memTarget struct {
	fstest.MapFS
	order []string // names as they were written
	fail  string   // the file whose writing fails
}

func newMemTarget() *memTarget { return &memTarget{MapFS: fstest.MapFS{}} }

func (m *memTarget) WriteFile(_ context.Context, name string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if m.fail != "" && strings.HasSuffix(name, m.fail) {
		return fmt.Errorf("no space")
	}
	m.order = append(m.order, name)
	m.MapFS[name] = &fstest.MapFile{Data: b.Bytes()}
	return nil
}

// bankCustomers makes up n customers of the bank schema, the same every time.
func bankCustomers(n int) []predict.Customer {
	rng := rand.New(rand.NewPCG(7, 7))
	s := schema.Bank()
	all := make([]predict.Customer, n)
	for i := range all {
		var b bytes.Buffer
		for k, f := range s.Features {
			b.WriteByte("{,"[min(k, 1)])
			switch f.Type {
			case schema.Category:
				fmt.Fprintf(&b, "%q:%q", f.Name, f.Values[rng.IntN(len(f.Values))])
			case schema.Integer:
				fmt.Fprintf(&b, "%q:%d", f.Name, 20+rng.IntN(60))
			default:
				fmt.Fprintf(&b, "%q:%.3f", f.Name, rng.Float64()*5000-100)
			}
		}
		b.WriteByte('}')
		all[i] = predict.Customer{ID: fmt.Sprint(i + 1), Features: b.Bytes()}
		if i%10 != 9 { // every tenth is unlabelled
			label := rng.IntN(2)
			all[i].Label = &label
		}
		if i%7 == 0 {
			all[i].Outcome = int64(i)
		}
	}
	return all
}

func eachOf(all []predict.Customer) func(func(predict.Customer) error) error {
	return func(fn func(predict.Customer) error) error {
		for _, c := range all {
			if err := fn(c); err != nil {
				return err
			}
		}
		return nil
	}
}

// writeBank writes n customers in the native layout, in parts of 40.
func writeBank(t testing.TB, n int) *memTarget {
	t.Helper()
	to := newMemTarget()
	_, err := Write(t.Context(), to, bankMeta(), eachOf(bankCustomers(n)))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func bankMeta() Meta {
	return Meta{Schema: schema.Bank(), ID: "01700000000000-a1b2c3d4", Folder: "exports/daily",
		Time: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), PartItems: 40}
}

// files makes a file system of names and contents.
func files(content map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range content {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func zip(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

// itemsOf reads everything below root.
func itemsOf(t testing.TB, fsys fstest.MapFS, root string) ([]Item, error) {
	t.Helper()
	r, err := Open(t.Context(), fsys, root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []Item
	for {
		it, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		it.Attributes = append([]Attribute(nil), it.Attributes...)
		all = append(all, it)
	}
}

// convertFS converts everything below root to one CSV.
func convertFS(t testing.TB, schema *schema.Schema, fsys fstest.MapFS, root string, opts Options) (string, Report, error) {
	t.Helper()
	r, err := Open(t.Context(), fsys, root)
	if err != nil {
		return "", Report{}, err
	}
	defer r.Close()
	var all bytes.Buffer
	opts.TempDir = cmp.Or(opts.TempDir, t.TempDir())
	report, err := Convert(t.Context(), schema, r, Outputs{All: &all}, opts)
	return all.String(), report, err
}

// checkSums fails unless the report accounts for every item.
func checkSums(t testing.TB, r Report) {
	t.Helper()
	sum := r.Rows
	for _, n := range r.Skipped {
		sum += n
	}
	if sum != r.Items {
		t.Errorf("%d rows and skipped items of %d items: %+v", sum, r.Items, r)
	}
	if r.TrainRows+r.HoldoutRows != r.Rows {
		t.Errorf("train %d and holdout %d do not make %d rows", r.TrainRows, r.HoldoutRows, r.Rows)
	}
}
