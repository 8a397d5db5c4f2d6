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

// Which model answered?
//
// The variant's name stays the same through all swaps, because autoscaling and
// alarms hang on it, and while a swap is under way old and new model both
// answer under it. So every call carries one row more than it was asked for,
// the probe, whose score under each model is known from its evaluation; the
// score that comes back for it names the model that answered that very call.
//
// The probes are sixteen rows, made once for each schema and kept in S3. None
// is a customer: each feature's value comes from another row of the held-out
// data, so that the rows lie where the models' scores differ. The scores of a
// model are a tag of it, so every gateway knows them, and they go when it goes.

// probeCount is bounded by the value of a tag: 256 characters, sixteen for
// each score.
const probeCount = 16

// makeProbes mixes held-out rows. The same rows give the same probes.
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
				continue // takes no random number
			}
			at := len(probes[i])
			probes[i] = append(probes[i], rows[random.IntN(len(rows))][at:at+width]...)
		}
	}
	return probes
}

// probesFile names the file of the probes.
func probesFile(schema *schema.Schema) string {
	return path.Join("probes", schema.Fingerprint()+".json")
}

// readProbes returns the schema's probes, nil if there are none yet.
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
		return nil, fmt.Errorf("%s has %d probes, %d are due", name, len(probes), probeCount)
	}
	for _, p := range probes {
		if len(p) != s.Width() {
			return nil, fmt.Errorf("%s has a probe of %d columns, the schema has %d", name, len(p), s.Width())
		}
	}
	return probes, nil
}

// writeProbes keeps probes unless there are some already, and returns those
// that count: two gateways may write at once.
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

// encodeScores writes scores as the value of a tag.
func encodeScores(scores []float64) string {
	var b bytes.Buffer
	for _, x := range scores {
		fmt.Fprintf(&b, "%016x", math.Float64bits(x))
	}
	return b.String()
}

// decodeScores reads a tag's value; nil where it is none of ours.
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

// Bounds on the distance of two scores of the same model for the same row.
// Containers compute in float32, and not always in the same order.
const (
	sameScore = 1e-4 // the same model, if no other is closer
	exact     = 1e-9
	clearly   = 4 // how many times as far away any other model must be
)

// distance is relative: models that saturate still differ in small scores.
func distance(a, b float64) float64 {
	if a == b {
		return 0
	}
	return math.Abs(a-b) / math.Max(math.Abs(a), math.Abs(b))
}

// identify returns the model whose score for a probe is closest to the one
// that came back, or nil if none is close. Where several are equally close,
// those models answer alike, and the first of them is as true as any.
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

// bestProbe chooses the probe by which the models differ most; for a single
// one, the probe whose score is farthest from the ends, where any other model
// is likely to differ.
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
