package schema

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestParseNumber(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		text    string
		want    float64 // inf: a number, but too large; NaN: no number at all
		integer bool
	}{
		{"34", 34, true},
		{"34.0", 34, true},
		{"3.4e1", 34, true},
		{"340e-1", 34, true},
		{"0.34e+2", 34, true},
		{"34.5", 34.5, false},
		{"3.45e1", 34.5, false},
		{"34.00000000000000000001", 34, false},
		{"34.00000000000000000000", 34, true},
		{"33.99999999999999999999", 34, false},
		{"9007199254740991", 9007199254740991, true},
		{"9007199254740993", 9007199254740992, true},
		{"1e15", 1e15, true},
		{"1e22", 1e22, true},
		{"0", 0, true},
		{"-0", 0, true},
		{"-0.0e5", 0, true},
		{"0e999999999999999999999", 0, true},
		{"0.000e-999999999999999999999", 0, true},
		{"1e-400", 0, false},
		{"-1e-400", 0, false},
		{"1e-999999999999999999999", 0, false},
		{"5e-324", 5e-324, false},
		{"1.7976931348623157e308", math.MaxFloat64, true},
		{"+5", 5, true},
		{"007", 7, true},
		{".5", 0.5, false},
		{"5.", 5, true},
		{"5.e0", 5, true},
		{"-.5E+1", -5, true},
		{"1e999", inf, false},
		{"-1e999", inf, false},
		{"1e999999999999999999999", inf, false},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			x, ok, finite := parseNumber(tt.text)
			if !ok {
				t.Fatal("it is refused")
			}
			if finite != (tt.want != inf) || (finite && x != tt.want) {
				t.Errorf("got %v, finite %v", x, finite)
			}
			if finite && math.Signbit(x) && x == 0 {
				t.Error("minus zero is left")
			}
			if finite && isInteger(tt.text, x) != tt.integer {
				t.Errorf("integer is %v, want %v", !tt.integer, tt.integer)
			}
		})
	}
	for _, text := range []string{"", " 5 ", " ", "0x10", "0b1", "0o7", "1_000", "1,5", "NaN", "nan", "Inf", "+Inf", "-inf",
		"Infinity", "1e", "1e+", "e5", ".", "+", "-", "--5", "+-5", "1.2.3", "1e5e5", "1e5.0", "٣", "５", "5\x00", "5f", "0x1p-2", "1d5"} {
		if x, ok, _ := parseNumber(text); ok {
			t.Errorf("%q is taken as %v", text, x)
		}
	}
}

func TestFormatNumber(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 1: "1", -1.7: "-1.7", 4991.6: "4991.6", 0.715: "0.715", 1e20: "100000000000000000000",
		1e21: "1e+21", 1e-6: "0.000001", 9.5e-7: "9.5e-07", 5e-324: "5e-324", 9007199254740991: "9007199254740991", 0.1: "0.1",
	} {
		if got := formatNumber(x); got != want {
			t.Errorf("%v is written %s, want %s", x, got, want)
		}
	}
}

// roundTrips checks that a number comes back from its text bit by bit, and
// that no shorter text would do.
func roundTrips(t *testing.T, x float64) {
	t.Helper()
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return
	}
	text := formatNumber(x)
	back, ok, finite := parseNumber(text)
	if !ok || !finite || back != x {
		t.Fatalf("%x is written %s and read as %x (%v, %v)", x, text, back, ok, finite)
	}
	if x == 0 {
		return
	}
	digits := func(s string) (n int) { // significant digits
		mantissa := s
		for i, c := range s {
			if c == 'e' {
				mantissa = s[:i]
				break
			}
		}
		var all []byte
		for _, c := range []byte(mantissa) {
			if c >= '0' && c <= '9' {
				all = append(all, c)
			}
		}
		first, last := 0, len(all)
		for first < last && all[first] == '0' {
			first++
		}
		for last > first && all[last-1] == '0' {
			last--
		}
		return last - first
	}
	if got, want := digits(text), digits(strconv.FormatFloat(x, 'e', -1, 64)); got != want {
		t.Fatalf("%x is written %s with %d digits where %d do", x, text, got, want)
	}
}

func TestNumbersRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		roundTrips(t, math.Float64frombits(random.Uint64()))
		roundTrips(t, math.Round(random.NormFloat64()*1e6)/1e3)
	}
}

func FuzzNumber(f *testing.F) {
	for _, text := range []string{"34", "34.0", "3.4e1", "34.00000000000000000001", "9007199254740993", "1e999", "1e-400", "-0", "0x10",
		"1_000", "NaN", "Inf", "", " 5 ", "+5", ".5", "5.", "1e", "1e99999999999999999999", "4991.6"} {
		f.Add(text, uint64(0x3ff8000000000000))
	}
	f.Fuzz(func(t *testing.T, text string, bits uint64) {
		roundTrips(t, math.Float64frombits(bits))
		x, ok, finite := parseNumber(text)
		if !ok || !finite {
			return
		}
		want, err := strconv.ParseFloat(text, 64)
		if err != nil || x != want {
			t.Fatalf("%q is read as %v; strconv says %v, %v", text, x, want, err)
		}
		if isInteger(text, x) && x != math.Trunc(x) {
			t.Fatalf("%q is no integer", text)
		}
		// Trailing zeros, and a power of ten moved into the exponent, change nothing.
		if mantissa := text + ".0"; isDecimal(mantissa) && isInteger(mantissa, x) != isInteger(text, x) {
			t.Fatalf("%q and %q differ in being an integer", text, mantissa)
		}
		roundTrips(t, x)
	})
}
