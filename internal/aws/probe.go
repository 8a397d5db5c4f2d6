package aws

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"path"

	"gateway/internal/schema"
)

// # Which model answered a call
//
// The variant keeps its name when a model replaces another one, because autoscaling and
// alarms refer to it. During the update both models answer under that name. So every call
// has one more row than the caller sent, the probe. The score of the probe by each model is
// known from the evaluation of the model. The score in the answer therefore identifies the
// model that answered the call.
//
// A schema has 16 probes, which are made once and stored in S3. They are no customers: the
// values of a probe come from different rows of the held-out data, one for each feature. So
// they are in the range in which the scores of models differ. The scores of a model are in
// a tag of the model. So every gateway can read them, and they are deleted with the model.

// probeCount is limited by the value of a tag: 256 characters, 16 for each score.
const probeCount = 16

// makeProbes makes probes of held-out rows. It is deterministic.
func makeProbes(s *schema.Schema, rows []schema.Vector) []schema.Vector {
	if len(rows) == 0 {
		return nil
	}
	random := rand.New(rand.NewPCG(uint64(len(rows)), 16))
	probes := make([]schema.Vector, probeCount)
	for i := range probes {
		probes[i] = make(schema.Vector, 0, s.Width())
		for f := range s.Features {
			width := s.Features[f].Width()
			if width == 0 {
				continue // and draw no random number
			}
			at := len(probes[i])
			probes[i] = append(probes[i], rows[random.IntN(len(rows))][at:at+width]...)
		}
	}
	return probes
}

// probesFile returns the name of the file with the probes.
func probesFile(schema *schema.Schema) string {
	return path.Join("probes", schema.Fingerprint()+".json")
}

// readProbes returns the probes of the schema, or nil if there are none yet.
func readProbes(ctx context.Context, files *Files, s *schema.Schema) ([]schema.Vector, error) {
	name := probesFile(s)
	text, err := readFile(files.FS(ctx), name, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var probes []schema.Vector
	if err := json.Unmarshal(text, &probes); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(probes) != probeCount {
		return nil, fmt.Errorf("%s has %d probes, want %d", name, len(probes), probeCount)
	}
	for _, p := range probes {
		if len(p) != s.Width() {
			return nil, fmt.Errorf("%s has a probe of %d columns, the schema has %d", name, len(p), s.Width())
		}
	}
	return probes, nil
}

// writeProbes stores probes unless another gateway has stored some, and returns the stored
// ones.
func writeProbes(ctx context.Context, files *Files, schema *schema.Schema, probes []schema.Vector) ([]schema.Vector, error) {
	text, err := json.Marshal(probes)
	if err != nil {
		return nil, err
	}
	err = files.writeNew(ctx, probesFile(schema), text)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readProbes(ctx, files, schema)
}

// encodeScores returns the value of a tag with the scores.
func encodeScores(scores []float64) string {
	var b bytes.Buffer
	for _, x := range scores {
		fmt.Fprintf(&b, "%016x", math.Float64bits(x))
	}
	return b.String()
}

// decodeScores parses the value of a tag. It returns nil if the value is not valid.
func decodeScores(text string) []float64 {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 8*probeCount {
		return nil
	}
	scores := make([]float64, probeCount)
	for i := range scores {
		var bits uint64
		for _, b := range raw[8*i : 8*i+8] {
			bits = bits<<8 | uint64(b)
		}
		scores[i] = math.Float64frombits(bits)
		if math.IsNaN(scores[i]) || math.IsInf(scores[i], 0) {
			return nil
		}
	}
	return scores
}

// Bounds on the distance of two scores of the same model for the same row, which may
// differ because containers compute in float32 and in varying order.
const (
	sameScore = 1e-4 // the maximum
	exact     = 1e-9 // scores within it count as equal
	clearly   = 4    // any other model must be this many times as far away
)

// distance returns the relative distance of two scores, because saturated models still
// differ relatively in their small scores.
func distance(a, b float64) float64 {
	if a == b {
		return 0
	}
	return math.Abs(a-b) / math.Max(math.Abs(a), math.Abs(b))
}

// identify returns the model whose score for a probe is closest to score, or nil if no
// model is within sameScore. If several models are about equally close, it returns the
// first of them: they score the probe alike.
func identify(models []*model, probe int, score float64) *model {
	least, found := math.Inf(1), (*model)(nil)
	for _, m := range models {
		if m.scores == nil {
			continue
		}
		if d := distance(m.scores[probe], score); d < least {
			least, found = d, m
		}
	}
	if found == nil || least > sameScore {
		return nil
	}
	for _, m := range models {
		if m.scores != nil && distance(m.scores[probe], score) <= math.Max(clearly*least, exact) {
			return m
		}
	}
	return found
}

// bestProbe returns the probe whose scores differ most between the models. For a single
// model it returns the probe whose score is closest to 0.5, where another model is most
// likely to differ.
func bestProbe(models []*model) int {
	best, most := 0, -1.0
	for i := range probeCount {
		apart := math.Inf(1)
		for a, m := range models {
			if m.scores == nil {
				continue
			}
			apart = math.Min(apart, 1-2*math.Abs(m.scores[i]-0.5))
			for _, other := range models[a+1:] {
				if other.scores != nil {
					apart = math.Min(apart, distance(m.scores[i], other.scores[i]))
				}
			}
		}
		if apart > most && !math.IsInf(apart, 1) {
			best, most = i, apart
		}
	}
	return best
}
