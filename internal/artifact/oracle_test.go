package artifact

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gateway/internal/learn"
	"gateway/internal/testsize"
)

const interpreter = "/usr/bin/python3"

var hasXGBoost = sync.OnceValue(func() bool {
	return exec.CommandContext(context.Background(), interpreter, "-c", "import xgboost").Run() == nil
})

// python runs testdata/oracle.py. It skips the test where XGBoost is not installed.
func python(t *testing.T, arguments ...string) {
	t.Helper()
	if !hasXGBoost() {
		t.Skip("python3-xgboost is not installed; the golden files stand without it")
	}
	command := exec.CommandContext(t.Context(), interpreter, append([]string{filepath.Join("testdata", "oracle.py")}, arguments...)...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out[:min(len(out), 1500)])
	}
}

func TestContributionsOnTheBankDataAreXGBoosts(t *testing.T) {
	bank := filepath.FromSlash("../../../shared/data/bank/bank-additional.csv")
	if _, err := os.Stat(bank); err != nil {
		t.Skip("the bank data is not there; the golden files stand without it")
	}
	type forest struct {
		rounds, depth int
		most          float64
	}
	for _, size := range testsize.Of([]forest{{20, 4, 1e-6}}, []forest{{20, 4, 1e-6}, {30, 8, 4e-6}}) {
		t.Run(fmt.Sprintf("%d trees of depth %d", size.rounds, size.depth), func(t *testing.T) {
			dir := t.TempDir()
			python(t, "train", bank, dir, fmt.Sprint(size.rounds), fmt.Sprint(size.depth))
			rows := readGolden(t, filepath.Join(dir, "golden.csv"), 10)
			if len(rows) < 3000 {
				t.Fatalf("only %d rows", len(rows))
			}
			for _, name := range []string{"model.json", "model.ubj", "model.deprecated"} {
				text, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				m, err := ReadXGBoost(text, columnNames(10))
				if err != nil {
					t.Fatal(err)
				}
				same(t, m, rows, size.most)
			}
		})
	}
}

// XGBoost reads what is written, and explains it alike.
func TestXGBoostReadsWhatIsWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	data := learn.Dataset{Columns: columnNames(5)}
	for range 1500 {
		row := make([]float64, 5)
		for j := range row {
			if row[j] = math.Round(random.NormFloat64()*100) / 100; random.IntN(10) == 0 {
				row[j] = math.NaN()
			}
		}
		label := 0.0
		if random.Float64() < 1/(1+math.Exp(1-2*data0(row[0])+data0(row[1])*data0(row[2]))) {
			label = 1
		}
		data.X, data.Y = append(data.X, row...), append(data.Y, label)
	}
	m, err := learn.Train(t.Context(), data, learn.Options{Algorithm: learn.XGBoost, Hyperparameters: map[string]string{"num_round": "15", "gamma": "0.5"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var table strings.Builder
	for i := range 300 {
		for j, x := range data.Row(i) {
			if j > 0 {
				table.WriteByte(',')
			}
			if math.IsNaN(x) {
				table.WriteString("nan")
				continue
			}
			fmt.Fprint(&table, x)
		}
		table.WriteByte('\n')
	}
	given, out := filepath.Join(dir, "rows.csv"), filepath.Join(dir, "golden.csv")
	if err := os.WriteFile(given, []byte(table.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, format := range map[string]XGBoostFormat{"model": XGBoostBinary, "model.ubj": XGBoostUBJSON} {
		text, err := WriteXGBoost(m, format)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		python(t, "ask", file, given, out)
		again, err := ReadXGBoost(text, data.Columns)
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, readGolden(t, out, 5), 4e-6)
	}
}

// data0 is x, or 0 where it is missing.
func data0(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}
