package learn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// encoded returns m as an artifact's bytes, by which models are compared.
func encoded(t testing.TB, m *Model) string {
	t.Helper()
	var b bytes.Buffer
	if err := (&Artifact{Algorithm: m.Algorithm(), Model: m}).Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// specimen returns an artifact with every field set.
func specimen(t testing.TB, algorithm Algorithm) *Artifact {
	t.Helper()
	given := map[string]string{"l1": "0.01", "mini_batch_size": "100"}
	if algorithm == XGBoost {
		given = map[string]string{"num_round": "3", "max_depth": "2", "tree_method": "hist"}
	}
	m := mustTrain(t, synthetic(120, 3, []int{3}, 31), Options{Algorithm: algorithm, Hyperparameters: given, Seed: math.MaxUint64})
	return &Artifact{
		Name:            "bank <marketing>",
		Schema:          "sha256:5f2c",
		Data:            strings.Repeat("ab", 32),
		Rows:            120,
		CreatedAt:       time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC),
		Algorithm:       algorithm,
		Hyperparameters: given,
		Seed:            math.MaxUint64,
		Metrics:         &Metrics{Rows: 30, PositiveRate: 1. / 3, AUC: 0.1 + 0.2, LogLoss: 5e-324, F1: 1},
		Model:           m,
	}
}

func encode(t testing.TB, a *Artifact) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := a.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArtifactRoundTripIsExact(t *testing.T) {
	for _, algorithm := range algorithms() {
		t.Run(string(algorithm), func(t *testing.T) {
			want := specimen(t, algorithm)
			first := encode(t, want)
			got, err := Decode(iotest.OneByteReader(bytes.NewReader(first)))
			if err != nil {
				t.Fatal(err)
			}
			unexported := cmp.Options{cmp.AllowUnexported(Model{}, linear{}, forest{}, node{}), cmpopts.IgnoreFields(forest{}, "explained")}
			if diff := cmp.Diff(want, got, unexported); diff != "" {
				t.Errorf("decoded differs (-want +got):\n%s", diff)
			}
			if !bytes.Equal(encode(t, got), first) {
				t.Error("encoding again gives other bytes")
			}
		})
	}
}

// testdata has artifacts that were written before there were calibrations, records
// of a search, missing numbers and the cover of trees.
func TestEarlierArtifactsAreReadAsBefore(t *testing.T) {
	data := synthetic(300, 3, []int{3}, 81)
	for algorithm, want := range map[Algorithm][]float64{
		LinearLearner: {0.08005384894208493, 0.12005560365877171, 0.0527013603838085},
		XGBoost:       {0.09679505070813937, 0.10937858518517438, 0.0919310354760654},
	} {
		text, err := os.ReadFile("testdata/v1-" + string(algorithm) + ".model")
		if err != nil {
			t.Fatal(err)
		}
		a, err := Decode(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range want {
			if got := a.Model.Score(data.Row(i)); !near(got, want, 1e-15) {
				t.Errorf("%s, row %d: got score %v, want %v", algorithm, i, got, want)
			}
		}
		if !bytes.Equal(encode(t, a), text) {
			t.Errorf("%s: encoding again gives other bytes", algorithm)
		}
		if got := a.Model.Contributions(data.Row(0)); (got == nil) != (algorithm == XGBoost) {
			t.Errorf("%s: got contributions %v", algorithm, got)
		}
	}
}

func TestArtifactKeepsTheMomentInUTC(t *testing.T) {
	a := specimen(t, LinearLearner)
	want := encode(t, a)
	a.CreatedAt = a.CreatedAt.In(time.FixedZone("", 3600))
	if !bytes.Equal(encode(t, a), want) {
		t.Error("the same moment in another zone gives other bytes")
	}
}

// Whatever single byte is changed, cut off or added, the file is refused.
func TestEveryCorruptionIsDetected(t *testing.T) {
	whole := encode(t, specimen(t, XGBoost))
	refused := func(data []byte, what string, at int) {
		t.Helper()
		a, err := Decode(bytes.NewReader(data))
		if a != nil || !errors.Is(err, ErrArtifact) {
			t.Fatalf("%s at %d: got artifact %v and error %v, want ErrArtifact alone", what, at, a, err)
		}
	}
	for i := range whole {
		for _, flip := range []byte{0x01, 0x20, 0x80, 0xff} {
			changed := bytes.Clone(whole)
			changed[i] ^= flip
			refused(changed, "change", i)
		}
		refused(whole[:i], "cut", i)
		refused(append(bytes.Clone(whole[:i]), whole[i+1:]...), "gap", i)
		refused(append(append(bytes.Clone(whole[:i]), ' '), whole[i:]...), "space", i)
	}
	refused(append(bytes.Clone(whole), '\n'), "addition", len(whole))
}

// sealed puts a valid header before payload, as an attacker could.
func sealed(payload string) string {
	return string(newHeader([]byte(payload)).line()) + payload
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	whole := string(encode(t, specimen(t, LinearLearner)))
	_, payload, _ := strings.Cut(whole, "\n")
	boosted := string(encode(t, specimen(t, XGBoost)))
	_, trees, _ := strings.Cut(boosted, "\n")
	replace := func(payload, old, new string) string {
		if !strings.Contains(payload, old) {
			t.Fatalf("%q is not in %s", old, payload)
		}
		return sealed(strings.Replace(payload, old, new, 1))
	}
	for name, c := range map[string]struct{ input, want string }{
		"nothing":             {"", "not a whole artifact: it ends within its header"},
		"a header cut short":  {whole[:40], "not a whole artifact: it ends within its header"},
		"another file":        {"\x1f\x8b\x08\x00\n", "not an artifact: its first line is no header"},
		"a long first line":   {strings.Repeat("x", 9999), "not an artifact: its first line is no header"},
		"JSON of other kinds": {`{"format":"mnist","version":1}` + "\n{}", "not an artifact: its first line is no header"},
		"a later version": {strings.Replace(whole, `"version":1`, `"version":2`, 1),
			"artifact has version 2; this program reads version 1"},
		"half": {whole[:len(whole)-10], fmt.Sprintf("artifact is truncated: %d of %d bytes", len(payload)-10, len(payload))},
		"a bit flipped": {strings.Replace(whole, "bank", "bonk", 1),
			"artifact is corrupt: its contents do not match its digest"},
		"an endless payload": {`{"format":"gateway-model","version":1,"bytes":999999999999,"sha256":""}` + "\n",
			"artifact is said to have 999999999999 bytes; at most 67108864 are read"},
		"a negative length": {`{"format":"gateway-model","version":1,"bytes":-2,"sha256":""}` + "\n",
			"artifact is said to have -2 bytes; at most 67108864 are read"},
		"not JSON": {sealed("\x00"),
			"artifact cannot be understood: invalid character '\\x00' looking for beginning of value"},
		"an unknown field": {sealed(`{"extra":1}`), `artifact cannot be understood: json: unknown field "extra"`},
		"two payloads":     {sealed(payload + payload), "artifact cannot be understood: more follows its end"},
		"no model":         {sealed(`{"algorithm":"xgboost"}`), `artifact has no model of the algorithm "xgboost"`},
		"nothing at all":   {sealed(`{}`), `artifact has no model of the algorithm ""`},
		"another algorithm": {replace(payload, `"linear-learner"`, `"knn"`),
			`artifact has no model of the algorithm "knn"`},
		"the other algorithm": {replace(payload, `"linear-learner"`, `"xgboost"`),
			`artifact has no model of the algorithm "xgboost"`},
		"a column too many": {replace(payload, `"number0"`, `"number0","more"`),
			"model has 7 columns, 6 coefficients and 6 means"},
		"an impossible rate":  {replace(payload, `"base_rate":0`, `"base_rate":2`), ""},
		"a tree without root": {replace(trees, `"trees":[`, `"trees":[{},`), "a tree has no nodes"},
		"a ragged tree": {replace(trees, `"trees":[`, `"trees":[{"column":[-1],"left":[0],"number":[]},`),
			"tree has 1 columns, 1 children and 0 numbers"},
		"a column beyond the row": {replace(trees, `"trees":[`, `"trees":[{"column":[6,-1,-1],"left":[1,0,0],"number":[0,0,0]},`),
			"tree node 0 compares column 6 of 6"},
		"a column of a flag": {replace(trees, `"trees":[`, `"trees":[{"column":[1073741825,-1,-1],"left":[1,0,0],"number":[0,0,0]},`),
			"tree node 0 compares column 1073741825 of 6"},
		"a cover too short": {replace(trees, `"trees":[`, `"trees":[{"column":[-1],"left":[0],"number":[0],"cover":[1,2]},`),
			"tree has 1 nodes and the cover of 2"},
		"a negative cover": {replace(trees, `"trees":[`, `"trees":[{"column":[-1],"left":[0],"number":[0],"cover":[-1]},`),
			"tree node 0 has cover -1"},
		"a leaf for missing numbers": {replace(trees, `"trees":[`, `"trees":[{"column":[-1],"left":[0],"number":[0],"missing":[0]},`),
			"tree sends missing numbers left at node 0, which is no decision"},
		"a calibration that falls": {replace(payload, `"base_rate"`, `"calibration":{"from":[0,1],"to":[1,0]},"base_rate"`),
			"calibration does not rise at point 1"},
		"a blend of one": {replace(payload, `"algorithm":"linear-learner"`, `"algorithm":"blend"`),
			`artifact has no model of the algorithm "blend"`},
		"a tree that goes round": {replace(trees, `"trees":[`, `"trees":[{"column":[0,-1,-1],"left":[0,0,0],"number":[0,0,0]},`),
			"tree node 0 leads to node 0 of 3"},
		"a tree with a loose end": {replace(trees, `"trees":[`, `"trees":[{"column":[0,-1],"left":[1,0],"number":[0,0]},`),
			"tree node 0 leads to node 1 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Decode(strings.NewReader(c.input))
			if a != nil || !errors.Is(err, ErrArtifact) || c.want != "" && err.Error() != c.want {
				t.Errorf("got artifact %v and error %v, want %q", a, err, c.want)
			}
		})
	}
	broken := errors.New("disk on fire")
	for _, part := range []string{"", whole[:20], whole[:200]} {
		r := io.MultiReader(strings.NewReader(part), iotest.ErrReader(broken))
		if _, err := Decode(r); !errors.Is(err, broken) || errors.Is(err, ErrArtifact) {
			t.Errorf("after %d bytes: got error %v, want the reader's", len(part), err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, change := range map[string]func(*Artifact){
		"no model":          func(a *Artifact) { a.Model = nil },
		"another algorithm": func(a *Artifact) { a.Algorithm = XGBoost },
		"text JSON changes": func(a *Artifact) { a.Name = "\xff" },
		"metrics JSON lacks": func(a *Artifact) {
			a.Metrics = &Metrics{AUC: math.NaN()}
		},
	} {
		a := specimen(t, LinearLearner)
		change(a)
		var b bytes.Buffer
		if err := a.Encode(&b); !errors.Is(err, ErrArtifact) || b.Len() > 0 {
			t.Errorf("%s: got error %v after %d bytes, want ErrArtifact and none", name, err, b.Len())
		}
	}
}

func TestCheckSchema(t *testing.T) {
	a := &Artifact{Name: "bank", Schema: "5f2c"}
	if err := a.CheckSchema("5f2c"); err != nil {
		t.Error(err)
	}
	err := a.CheckSchema("77aa")
	if want := `model "bank" was trained for feature schema 5f2c, not 77aa`; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %q", err, want)
	}
	if !errors.Is(err, ErrSchema) || errors.Is(err, ErrArtifact) {
		t.Errorf("error %v matches the wrong kind", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, algorithm := range algorithms() {
		whole := encode(f, specimen(f, algorithm))
		_, payload, _ := bytes.Cut(whole, []byte("\n"))
		f.Add(whole)
		f.Add(whole[:len(whole)/2])
		f.Add(payload)
	}
	f.Add([]byte(`{"algorithm":"xgboost","model":{"columns":["a"],"forest":{"trees":[{"column":[0,0,-1],"left":[1,0,0],"number":[1,2,3]}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		// As it is, and behind a header that vouches for it.
		for _, input := range []string{string(data), sealed(string(data))} {
			a, err := Decode(strings.NewReader(input))
			if err != nil {
				if a != nil || !errors.Is(err, ErrArtifact) {
					t.Fatalf("artifact %v with error %v", a, err)
				}
				continue
			}
			if p := a.Model.Score(make([]float64, len(a.Model.Columns()))); !(p >= 0 && p <= 1) {
				t.Fatalf("accepted a model that scores %v", p)
			}
			if _, err := Decode(bytes.NewReader(encode(t, a))); err != nil {
				t.Fatalf("accepted what it does not accept again: %v", err)
			}
		}
	})
}
