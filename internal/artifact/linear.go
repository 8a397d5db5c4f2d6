package artifact

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"gateway/internal/learn"
)

// linear-learner's model_algo-1 is a zip of an MXNet module: mx-mod-symbol.json, the
// network, and mx-mod-0000.params, its parameters by name; beside them
// additional-params.json, what the model predicts. The network of a binary classifier is
// the logistic function of a row times fc0_weight plus fc0_bias. They are in the units
// of the data, also where the algorithm has normalised it.
const (
	paramsFile     = "mx-mod-0000.params"
	additionalFile = "additional-params.json"
	weightName     = "arg:fc0_weight"
	biasName       = "arg:fc0_bias"
	classifier     = "binary_classifier"
)

// ReadLinear reads the file model_algo-1 of a binary classifier. Of each file in it at
// most limit bytes are read.
func ReadLinear(text []byte, columns []string, means []float64, limit int64) (*learn.Model, error) {
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, formatf("%s is no zip: %w", linearFile, err)
	}
	if err := checkPredictor(archive, limit); err != nil {
		return nil, err
	}
	params, err := readPart(archive, paramsFile, limit)
	if err != nil {
		return nil, err
	}
	arrays, err := readArrays(params)
	if err != nil {
		return nil, err
	}
	weight, bias := arrays[weightName], arrays[biasName]
	columns = named(columns, len(weight))
	if means == nil {
		means = make([]float64, len(columns))
	}
	switch {
	case weight == nil:
		return nil, formatf("%s has no array %s", paramsFile, weightName)
	case len(weight) != len(columns):
		return nil, formatf("%s has %d weights, the schema has %d columns", paramsFile, len(weight), len(columns))
	case len(means) != len(columns):
		return nil, formatf("%d means were given for %d columns", len(means), len(columns))
	case bias == nil: // use_bias=false
		bias = []float64{0}
	case len(bias) != 1:
		return nil, formatf("%s has %d biases, want one", paramsFile, len(bias))
	}
	m, err := learn.NewLinear(columns, learn.Linear{Intercept: bias[0], Coefficients: weight, Means: means})
	if err != nil {
		return nil, formatf("%s: %w", paramsFile, err)
	}
	return m, nil
}

// readPart reads a file of the zip.
func readPart(archive *zip.Reader, name string, limit int64) ([]byte, error) {
	f, err := archive.Open(name)
	if err != nil {
		return nil, formatf("%s has no %s", linearFile, name)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, formatf("%s is damaged: %w", name, err)
	case int64(len(text)) > limit:
		return nil, formatf("%s is larger than %d bytes", name, limit)
	}
	return text, nil
}

// checkPredictor returns an error unless the model is a binary classifier.
func checkPredictor(archive *zip.Reader, limit int64) error {
	text, err := readPart(archive, additionalFile, limit)
	if err != nil {
		return err
	}
	var additional struct {
		PredictorType string `json:"predictor_type"`
	}
	if err := json.Unmarshal(text, &additional); err != nil {
		return formatf("%s is not valid JSON: %w", additionalFile, err)
	}
	if additional.PredictorType != classifier {
		return formatf("%s has the predictor type %q, want %s", additionalFile, shorten(additional.PredictorType), classifier)
	}
	return nil
}

// WriteLinear returns the file model_algo-1 of a linear model.
func WriteLinear(m *learn.Model) ([]byte, error) {
	parts, err := m.Linear()
	if err != nil {
		return nil, err
	}
	width := len(parts.Coefficients)
	files := []struct {
		name string
		text []byte
	}{
		{paramsFile, appendArrays(nil, []array{
			{biasName, []int64{1, 1}, []float64{parts.Intercept}},
			{weightName, []int64{int64(width), 1}, parts.Coefficients},
		})},
		{"mx-mod-symbol.json", fmt.Appendf(nil, linearNetwork, width)},
		{"manifest.json", []byte(`{"additional-params.json": "json", "mx-mod": "mxnet_module", "version": 1}`)},
		{additionalFile, []byte(`{"threshold": 0.5, "loss_type": "logistic", "predictor_type": "` + classifier + `"}`)},
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		// The container stores the files without compression.
		to, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store})
		if err == nil {
			_, err = to.Write(f.text)
		}
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	err = w.Close()
	return out.Bytes(), err
}

// linearNetwork is the network of a classifier of a number of columns.
const linearNetwork = `{
  "nodes": [
    {"op": "null", "name": "data", "inputs": []},
    {"op": "null", "name": "fc0_weight", "attrs": {"__shape__": "(%d, 1)"}, "inputs": []},
    {"op": "dot", "name": "dot0", "inputs": [[0, 0, 0], [1, 0, 0]]},
    {"op": "null", "name": "fc0_bias", "attrs": {"__lr_mult__": "10.0", "__shape__": "(1, 1)"}, "inputs": []},
    {"op": "broadcast_add", "name": "broadcast_plus0", "inputs": [[2, 0, 0], [3, 0, 0]]},
    {"op": "null", "name": "out_label", "inputs": []},
    {"op": "LogisticRegressionOutput", "name": "logisticregressionoutput0", "inputs": [[4, 0, 0], [5, 0, 0]]}
  ],
  "arg_nodes": [0, 1, 3, 5],
  "node_row_ptr": [0, 1, 2, 3, 4, 5, 6, 7],
  "heads": [[6, 0, 0]],
  "attrs": {"mxnet_version": ["int", 10301]}
}
`

// An MXNet file of arrays (NDArray::Save of MXNet 1.x), in little-endian order: a magic
// number, a reserved word, the number of arrays, the arrays, the number of names, the
// names. An array is a magic number, its storage (0: dense), its shape, the device that it
// was on, the type of its numbers (0: float32, 1: float64), and the numbers.
const (
	arraysMagic = 0x112
	arrayV1     = 0xF993FAC8 // without the storage
	arrayV2     = 0xF993FAC9
	arrayV3     = 0xF993FACA // the shape may be unknown
)

// array is a named array.
type array struct {
	name    string
	shape   []int64
	numbers []float64
}

// readArrays returns the numbers of the arrays, by name.
func readArrays(text []byte) (map[string][]float64, error) {
	r := &reader{text: text, file: paramsFile}
	if r.u64() != arraysMagic {
		return nil, formatf("%s does not begin as an MXNet file", paramsFile)
	}
	r.u64()
	all := make([][]float64, r.count(8))
	for i := range all {
		all[i] = r.array()
	}
	names := r.count(8)
	if r.err == nil && names != len(all) {
		return nil, formatf("%s has %d arrays and %d names", paramsFile, len(all), names)
	}
	out := make(map[string][]float64)
	for i := range names {
		name := r.str()
		if r.err == nil {
			out[name] = all[i]
		}
	}
	return out, r.err
}

// array reads one array.
func (r *reader) array() []float64 {
	magic := r.u32()
	switch {
	case r.err != nil:
		return nil
	case magic != arrayV1 && magic != arrayV2 && magic != arrayV3:
		r.fail("has an array of an unknown version (%#x)", magic)
		return nil
	}
	if magic != arrayV1 && r.u32() != 0 {
		r.fail("has an array that is not dense")
		return nil
	}
	numbers := uint64(1)
	dimensions := r.u32()
	for i := uint32(0); i < dimensions && r.err == nil; i++ {
		n := r.u64()
		if n != 0 && numbers > uint64(len(r.text))/n {
			r.fail("has an array that is larger than the file")
			return nil
		}
		numbers *= n
	}
	if dimensions == 0 {
		return nil // an array without a shape has neither device nor numbers
	}
	r.u64() // device
	kind := r.u32()
	out := make([]float64, 0, numbers)
	for i := uint64(0); i < numbers && r.err == nil; i++ {
		switch kind {
		case 0:
			out = append(out, float64(math.Float32frombits(r.u32())))
		case 1:
			out = append(out, math.Float64frombits(r.u64()))
		default:
			r.fail("has numbers of type %d, want float32 or float64", kind)
		}
	}
	return out
}

// appendArrays appends a file of arrays of float32.
func appendArrays(dst []byte, arrays []array) []byte {
	w := writer(dst)
	w.u64(arraysMagic)
	w.u64(0)
	w.u64(uint64(len(arrays)))
	for _, a := range arrays {
		w.u32(arrayV2)
		w.u32(0)
		w.u32(uint32(len(a.shape)))
		for _, n := range a.shape {
			w.u64(uint64(n))
		}
		w.u32(1) // on a CPU
		w.u32(0)
		w.u32(0) // float32
		for _, x := range a.numbers {
			w.f32(x)
		}
	}
	w.u64(uint64(len(arrays)))
	for _, a := range arrays {
		w.str(a.name)
	}
	return w
}
