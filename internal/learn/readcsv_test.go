package learn

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestReadCSV(t *testing.T) {
	columns := []string{"age", "rate"}
	want := Dataset{Columns: columns, X: []float64{41, -1.8, 1e3, 0}, Y: []float64{1, 0}}
	for name, input := range map[string]string{
		"lines end in LF":             "1,41,-1.8\n0,1e3,0\n",
		"lines end in CRLF":           "1,41,-1.8\r\n0,1e3,0\r\n",
		"last line is not ended":      "1,41,-1.8\n0,1e3,0",
		"labels are written as reals": "1.0,41,-1.8\n0.0,1000,-0\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadCSV(iotest.OneByteReader(strings.NewReader(input)), columns)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("wrong data (-want +got):\n%s", diff)
			}
		})
	}
	if d, err := ReadCSV(strings.NewReader(""), columns); err != nil || d.Rows() != 0 {
		t.Errorf("empty input: got %d rows and error %v, want none", d.Rows(), err)
	}
}

func TestReadCSVTakesNothingForAMissingNumber(t *testing.T) {
	d, err := ReadCSV(strings.NewReader("1,,3\n0,2,\n"), []string{"age", "rate"})
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{math.NaN(), 3, 2, math.NaN()}
	if !cmp.Equal(d.X, want, cmpopts.EquateNaNs()) {
		t.Errorf("got %v, want %v", d.X, want)
	}
}

func TestReadCSVNamesTheFault(t *testing.T) {
	for name, c := range map[string]struct{ input, want string }{
		"too few values":    {"1,2,3\n0,2\n", "line 2: 2 values; the label and 2 columns make 3"},
		"too many values":   {"1,2,3,4\n", "line 1: 4 values; the label and 2 columns make 3"},
		"header":            {"y,age,rate\n1,2,3\n", `line 1, column 1 (label): "y" is not 0 or 1`},
		"label of no class": {"1,2,3\n2,2,3\n", `line 2, column 1 (label): "2" is not 0 or 1`},
		"word":              {"1,2,yes\n", `line 1, column 3 (rate): "yes" is not a finite number`},
		"blank":             {"1, ,3\n", `line 1, column 2 (age): " " is not a finite number`},
		"no label":          {",2,3\n", `line 1, column 1 (label): "" is not 0 or 1`},
		"NaN":               {"1,nan,3\n", `line 1, column 2 (age): "nan" is not a finite number`},
		"infinity":          {"1,+Inf,3\n", `line 1, column 2 (age): "+Inf" is not a finite number`},
		"overflow":          {"1,2,1e999\n", `line 1, column 3 (rate): "1e999" is not a finite number`},
		"hexadecimal":       {"1,0x1p4,3\n", `line 1, column 2 (age): "0x1p4" is not a finite number`},
		"blank line":        {"1,2,3\n\n0,2,3\n", "line 2: 1 values; the label and 2 columns make 3"},
		"endless line":      {"1,2,3\n" + strings.Repeat("1", maxLine+1), "line 2: longer than 524288 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadCSV(strings.NewReader(c.input), []string{"age", "rate"})
			if err == nil || err.Error() != c.want {
				t.Errorf("got error %q, want %q", err, c.want)
			}
			if !errors.Is(err, ErrInput) {
				t.Errorf("error %v does not match ErrInput", err)
			}
		})
	}
	broken := errors.New("broken pipe")
	if _, err := ReadCSV(iotest.ErrReader(broken), nil); !errors.Is(err, broken) || errors.Is(err, ErrInput) {
		t.Errorf("got error %v, want the reader's", err)
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("0,41,999,0,1.1,93.994\n1,30,6,2,-1.8,92.893\n")
	f.Add("1,41,-1.8,0,0,0\r\n0,1e3,0,1,1,1")
	f.Add("1,nan,inf,0x1p-2,1_0,1e999\n")
	f.Add(",,,,,\n\n\r")
	columns := []string{"age", "pdays", "previous", "emp_var_rate", "cons_price_idx"}
	f.Fuzz(func(t *testing.T, input string) {
		d, err := ReadCSV(strings.NewReader(input), columns)
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatalf("error %v does not match ErrInput", err)
			}
			return
		}
		if len(d.X) != d.Rows()*len(columns) {
			t.Fatalf("%d numbers in %d rows", len(d.X), d.Rows())
		}
		for _, x := range d.X {
			if math.IsInf(x, 0) {
				t.Fatalf("accepted %v", x)
			}
		}
		for _, y := range d.Y {
			if y != 0 && y != 1 {
				t.Fatalf("accepted label %v", y)
			}
		}
	})
}
