package artifact

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"gateway/internal/learn"
)

// golden is a row of golden.csv.
type golden struct {
	row, contributions []float64
	bias, score        float64
}

// goldenRows reads what XGBoost answered.
func goldenRows(t testing.TB) []golden {
	t.Helper()
	return readGolden(t, filepath.Join("testdata", "golden.csv"), 6)
}

func readGolden(t testing.TB, file string, columns int) []golden {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(bufio.NewReader(f)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]golden, len(records))
	for i, cells := range records {
		numbers := make([]float64, len(cells))
		for j, cell := range cells {
			if numbers[j], err = strconv.ParseFloat(cell, 64); cell == "" {
				numbers[j], err = math.NaN(), nil
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		out[i] = golden{numbers[:columns], numbers[columns : 2*columns], numbers[2*columns], numbers[2*columns+1]}
	}
	return out
}

// same holds a model against what XGBoost answered: contributions may differ by most. XGBoost
// computes with float32, and its errors grow with the depth of trees.
func same(t *testing.T, m *learn.Model, rows []golden, most float64) {
	t.Helper()
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	worst := 0.0
	for i, g := range rows {
		if d := math.Abs(m.Score(g.row) - g.score); !(d <= 1e-6) {
			t.Fatalf("row %d: got score %v, want %v", i, m.Score(g.row), g.score)
		}
		got := m.Contributions(g.row)
		if len(got) != len(g.contributions) {
			t.Fatalf("row %d: got %d contributions, want %d", i, len(got), len(g.contributions))
		}
		for j, x := range got {
			worst = max(worst, math.Abs(x-g.contributions[j]))
		}
		worst = max(worst, math.Abs(m.Base()-g.bias))
	}
	t.Logf("the largest difference from XGBoost's contributions is %.2g", worst)
	if worst > most {
		t.Errorf("contributions differ by %v", worst)
	}
}

func columnNames(n int) []string {
	out := make([]string, n)
	for j := range out {
		out[j] = "c" + strconv.Itoa(j)
	}
	return out
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestXGBoostFilesGiveXGBoostsContributions(t *testing.T) {
	for _, name := range []string{"golden.bin", "golden.json", "golden.ubj"} {
		t.Run(name, func(t *testing.T) {
			m, err := ReadXGBoost(readFile(t, name), columnNames(6))
			if err != nil {
				t.Fatal(err)
			}
			same(t, m, goldenRows(t), 1e-6)
		})
	}
}

// The numbers of JSON are decimals of float32.
func TestXGBoostFormatsHaveTheSameTrees(t *testing.T) {
	var all []learn.Boosted
	for _, name := range []string{"golden.bin", "golden.json", "golden.ubj"} {
		m, err := ReadXGBoost(readFile(t, name), columnNames(6))
		if err != nil {
			t.Fatal(err)
		}
		parts, err := m.Boosted()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parts)
	}
	for _, other := range all[1:] {
		if !reflect.DeepEqual(all[0].Trees, other.Trees) {
			t.Error("two formats give different trees")
		}
	}
}

func TestWrittenXGBoostFilesAreReadBack(t *testing.T) {
	m, err := ReadXGBoost(readFile(t, "golden.ubj"), columnNames(6))
	if err != nil {
		t.Fatal(err)
	}
	for name, format := range map[string]XGBoostFormat{"binary": XGBoostBinary, "UBJSON": XGBoostUBJSON} {
		t.Run(name, func(t *testing.T) {
			text, err := Write(m, format)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Read(bytes.NewReader(text), columnNames(6), nil, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			same(t, again, goldenRows(t), 1e-6)
		})
	}
}

func TestBaseScores(t *testing.T) {
	text := string(readFile(t, "golden.json"))
	const given = `"base_score":"3E-1"`
	if strings.Count(text, given) != 1 {
		t.Fatalf("the file has no %s", given)
	}
	plain, err := ReadXGBoost([]byte(text), columnNames(6))
	if err != nil {
		t.Fatal(err)
	}
	for form, logOdds := range map[string]float64{`"[3E-1]"`: 0, `0.3`: 0, `"6.5E-1"`: math.Log(0.65/0.35) - math.Log(0.3/0.7)} {
		m, err := ReadXGBoost([]byte(strings.Replace(text, given, `"base_score":`+form, 1)), columnNames(6))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Base() - plain.Base(); math.Abs(got-logOdds) > 1e-6 {
			t.Errorf("%s: the base differs by %v, want %v", form, got, logOdds)
		}
	}
	// Before version 1 the base score is log-odds, and there is no mark.
	old := bytes.Clone(readFile(t, "golden.bin"))[4:]
	copy(old[20:28], make([]byte, 8))
	m, err := ReadXGBoost(old, columnNames(6))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Base()-plain.Base(), 0.3-math.Log(0.3/0.7); math.Abs(got-want) > 1e-6 {
		t.Errorf("version 0: the base differs by %v, want %v", got, want)
	}
}

func TestXGBoostFilesThatAreNotRead(t *testing.T) {
	bin, text, ubj := readFile(t, "golden.bin"), string(readFile(t, "golden.json")), readFile(t, "golden.ubj")
	change := func(old, new string) []byte {
		if !strings.Contains(text, old) {
			t.Fatalf("the file has no %s", old)
		}
		return []byte(strings.Replace(text, old, new, 1))
	}
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"empty":              {nil, "is empty"},
		"a pickle":           {[]byte("\x80\x03cxgboost.core\nBooster"), "pickle"},
		"not a model":        {[]byte("hello, this is no model"), "ends too early"},
		"another booster":    {change(`"name":"gbtree"`, `"name":"dart"`), `booster "dart"`},
		"another objective":  {change(`"name":"binary:logistic"`, `"name":"reg:squarederror"`), `objective "reg:squarederror"`},
		"several classes":    {change(`"num_class":"0"`, `"num_class":"3"`), "several outputs"},
		"another width":      {change(`"num_class":"0","num_feature":"6"`, `"num_class":"0","num_feature":"7"`), "6 columns"},
		"a base score of 0":  {change(`"base_score":"3E-1"`, `"base_score":"0"`), "no probability"},
		"several groups":     {change(`"tree_info":[0,`, `"tree_info":[1,`), "several outputs"},
		"a list too short":   {change(`"left_children":[1,`, `"left_children":[`), "nodes with"},
		"a cycle":            {change(`"left_children":[1,`, `"left_children":[0,`), "leads to node"},
		"a far child":        {change(`"left_children":[1,`, `"left_children":[1e6,`), "leads to node"},
		"half a child":       {change(`"left_children":[1,`, `"left_children":[1.5,`), "leads to node"},
		"a column beyond":    {change(`"split_indices":[`, `"split_indices":[6`), "column"},
		"categories":         {change(`"split_type":[0,`, `"split_type":[1,`), "categories"},
		"negative cover":     {change(`"sum_hessian":[`, `"sum_hessian":[-`), "cover"},
		"text for a number":  {change(`"sum_hessian":[`, `"sum_hessian":["a",`), "no numbers sum_hessian"},
		"half of the JSON":   {[]byte(text[:len(text)/2]), "JSON"},
		"no learner":         {[]byte(`{"a":1}`), "no text learner.objective.name"},
		"nested too deeply":  {[]byte(`{"a":` + strings.Repeat("[", 1000)), "deep"},
		"half of the binary": {bin[:len(bin)/2], "ends too early"},
		"half of the UBJSON": {ubj[:len(ubj)/2], "ends too early"},
		"a huge UBJSON list": {[]byte("{i\x01a[$d#L\x00\x00\x00\x00\x7f\xff\xff\xff"), "ends too early"},
		"UBJSON of units":    {[]byte("{i\x01a[$Z#l\x7f\xff\xff\xff"), "ends too early"},
		"UBJSON too deep":    {append([]byte("{i\x01a"), bytes.Repeat([]byte("["), 1000)...), "nested too deeply"},
		"unknown in UBJSON":  {[]byte("{i\x01ax"), "unknown type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadXGBoost(tt.text, columnNames(6))
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzReadXGBoost(f *testing.F) {
	for _, name := range []string{"golden.bin", "golden.json", "golden.ubj"} {
		f.Add(readFile(f, name))
	}
	row := []float64{0, 1, math.NaN(), -1, 2, 1e300}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ReadXGBoost(text, columnNames(6))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("error %v", err)
			}
			return
		}
		if p := m.Score(row); !(p >= 0 && p <= 1) {
			t.Errorf("score %v", p)
		}
		m.Contributions(row)
	})
}
