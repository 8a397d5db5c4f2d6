package artifact

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"gateway/internal/learn"
)

// params is a file that MXNet 1.3.1 would write for two weights and a bias, byte by
// byte: the header, the bias 0.5, the weights 2 and −1, the names.
const params = "1201000000000000" + "0000000000000000" + "0200000000000000" +
	"c9fa93f9" + "00000000" + "02000000" + "0100000000000000" + "0100000000000000" + "0100000000000000" + "00000000" + "0000003f" +
	"c9fa93f9" + "00000000" + "02000000" + "0200000000000000" + "0100000000000000" + "0100000000000000" + "00000000" + "00000040000080bf" +
	"0200000000000000" + "0c00000000000000" + "6172673a6663305f62696173" + "0e00000000000000" + "6172673a6663305f776569676874"

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// zipped makes a zip of pairs of a name and a text.
func zipped(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		to, err := w.Create(files[i])
		if err == nil {
			_, err = to.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const additional = `{"predictor_type": "binary_classifier"}`

func TestLinearLearnersFile(t *testing.T) {
	text := zipped(t, paramsFile, string(unhex(t, params)), additionalFile, additional)
	m, err := ReadLinear(text, columnNames(2), []float64{1, 3}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	row := []float64{0.25, -4}
	const margin = 0.5 + 2*0.25 + 4
	if got, want := m.Score(row), 1/(1+math.Exp(-margin)); math.Abs(got-want) > 1e-12 {
		t.Errorf("got score %v, want %v", got, want)
	}
	if got := m.Contributions(row); got[0] != 2*(0.25-1) || got[1] != 7 || m.Base() != 0.5+2-3 {
		t.Errorf("got base %v and contributions %v", m.Base(), got)
	}
	// What is written has the same parts, and the same bytes where the numbers are.
	written, err := WriteLinear(m)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(written), int64(len(written)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readPart(archive, paramsFile, 1<<20); err != nil || !bytes.Equal(got, unhex(t, params)) {
		t.Errorf("wrote %x, %v", got, err)
	}
	again, err := ReadLinear(written, columnNames(2), []float64{1, 3}, 1<<20)
	if err != nil || again.Score(row) != m.Score(row) {
		t.Errorf("read back: %v, %v", again, err)
	}
}

func TestLinearFilesThatAreNotRead(t *testing.T) {
	good := params
	change := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the file has no %s", old)
		}
		return string(unhex(t, strings.Replace(good, old, new, 1)))
	}
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"no zip":             {[]byte("hello"), "no zip"},
		"no parameters":      {zipped(t, additionalFile, additional), "has no " + paramsFile},
		"no predictor":       {zipped(t, paramsFile, change("12", "12")), "has no " + additionalFile},
		"a regressor":        {zipped(t, paramsFile, change("12", "12"), additionalFile, `{"predictor_type":"regressor"}`), `type "regressor"`},
		"broken JSON":        {zipped(t, additionalFile, "{"), "not valid JSON"},
		"another file":       {zipped(t, paramsFile, change("1201", "1202"), additionalFile, additional), "MXNet"},
		"an unknown version": {zipped(t, paramsFile, change("c9fa93f9", "c9fa93f0"), additionalFile, additional), "unknown version"},
		"sparse":             {zipped(t, paramsFile, change("c9fa93f900000000", "c9fa93f901000000"), additionalFile, additional), "not dense"},
		"integers":           {zipped(t, paramsFile, change("0100000000000000000000000000003f", "0100000000000000040000000000003f"), additionalFile, additional), "type 4"},
		"many arrays":        {zipped(t, paramsFile, change("00000000000000000200", "0000000000000000ffff"), additionalFile, additional), "ends too early"},
		"a huge shape":       {zipped(t, paramsFile, change("0200000002000000", "02000000ffffff7f"), additionalFile, additional), "larger than the file"},
		"half of it":         {zipped(t, paramsFile, string(unhex(t, params[:200])), additionalFile, additional), "ends too early"},
		"other names":        {zipped(t, paramsFile, change("6663305f776569676874", "6663315f776569676874"), additionalFile, additional), "no array " + weightName},
		"not a number":       {zipped(t, paramsFile, change("00000040000080bf", "0000c07f000080bf"), additionalFile, additional), "coefficient"},
		"too large":          {zipped(t, paramsFile, strings.Repeat("x", 2000), additionalFile, additional), "larger than 1000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadLinear(tt.text, columnNames(2), []float64{0, 0}, 1000)
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	text := zipped(t, paramsFile, string(unhex(t, params)), additionalFile, additional)
	if _, err := ReadLinear(text, columnNames(3), make([]float64, 3), 1000); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "3 columns") {
		t.Errorf("another width: %v", err)
	}
}

func TestArchives(t *testing.T) {
	packed := func(files ...string) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		w := tar.NewWriter(z)
		for i := 0; i < len(files); i += 2 {
			err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))})
			if err == nil {
				_, err = w.Write([]byte(files[i+1]))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	linear := string(zipped(t, paramsFile, string(unhex(t, params)), additionalFile, additional))
	good := packed("./notes.txt", "hello", "./model_algo-1", linear)
	if _, err := Read(bytes.NewReader(good), columnNames(2), []float64{0, 0}, 1<<20); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct {
		text  []byte
		limit int64
		want  string
	}{
		"not compressed": {[]byte(linear), 1 << 20, "gzip"},
		"no model":       {packed("notes.txt", "hello"), 1 << 20, "neither"},
		"too large":      {packed("xgboost-model", strings.Repeat("x", 10_000)), 5000, "larger than 5000 bytes"},
		"cut off":        {good[:len(good)/2], 1 << 20, "damaged"},
	} {
		if _, err := Read(bytes.NewReader(tt.text), columnNames(2), []float64{0, 0}, tt.limit); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestWriteWantsAModelOfOneKind(t *testing.T) {
	data := learn.Dataset{Columns: columnNames(1), X: []float64{1, 2, 3, 4}, Y: []float64{0, 1, 0, 1}}
	m, err := learn.Train(t.Context(), data, learn.Options{Algorithm: learn.LinearLearner})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := WriteXGBoost(m, XGBoostBinary); err == nil {
		t.Error("a linear model was written as trees")
	}
}
