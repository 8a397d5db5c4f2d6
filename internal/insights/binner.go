package insights

import (
	"context"
	"sync"
	"time"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

var (
	_ predict.Binner = (*Binner)(nil)
	_ predict.Ledger = Ledger{}
)

// Profiles reads the profiles of models.
type Profiles interface {
	// Profile returns that of a model, with what is kept of its held-out rows, nil if it
	// was not evaluated. Without a profile both are nil.
	Profile(ctx context.Context, model string) (*Profile, *Holdout, error)
	// NewestProfile returns the newest profile, and the model that it is of; nil if there
	// is none.
	NewestProfile(ctx context.Context) (model string, p *Profile, err error)
}

// Binner finds the bins of predictions by the profiles of their models. It learns a
// model's bins when its first predictions come to the ledger, and then predictions get
// theirs before that, from the request. It is safe for concurrent use.
type Binner struct {
	schema   *schema.Schema
	profiles Profiles
	known    sync.Map // model → *compiled
	mu       sync.Mutex
	none     map[string]time.Time // models without bins, and when that was seen
}

// NewBinner returns a Binner of predictions of the schema.
func NewBinner(s *schema.Schema, profiles Profiles) *Binner {
	return &Binner{schema: s, profiles: profiles, none: make(map[string]time.Time)}
}

// AppendBins implements predict.Binner.
func (b *Binner) AppendBins(dst []byte, model string, r schema.Record) []byte {
	if c, ok := b.known.Load(model); ok {
		return c.(*compiled).appendBins(dst, r)
	}
	return dst
}

// lookAgain is how long a model without a profile is not looked up again.
const lookAgain = time.Minute

// binsOf returns the bins of a model, nil if it has none.
func (b *Binner) binsOf(ctx context.Context, model string) (*compiled, error) {
	if c, ok := b.known.Load(model); ok {
		return c.(*compiled), nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, seen := b.none[model]; seen && time.Since(at) < lookAgain {
		return nil, nil
	}
	p, _, err := b.profiles.Profile(ctx, model)
	if err != nil {
		return nil, err
	}
	if p != nil {
		if c, err := p.Bins.compile(b.schema); err == nil {
			b.known.Store(model, c)
			return c, nil
		}
	}
	b.none[model] = time.Now()
	return nil, nil
}

// Fill sets the bins of predictions that have none, by their recorded features, if
// their model has bins. The recorded features do not tell an unlisted category from the
// one that replaced it, nor a default from a value that was given.
func (b *Binner) Fill(ctx context.Context, predictions []predict.Prediction) error {
	for i := range predictions {
		p := &predictions[i]
		if len(p.Bins) > 0 || p.Schema != b.schema.Fingerprint() {
			continue
		}
		c, err := b.binsOf(ctx, p.Model)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		r, err := b.schema.DecodeStored(p.Features, nil)
		if err != nil {
			continue // an earlier schema; it is counted by its score alone
		}
		p.Bins = c.appendBins(nil, r)
	}
	return nil
}

// Ledger is a ledger that gives bins to predictions without, before it appends them.
type Ledger struct {
	predict.Ledger
	Binner *Binner
}

// Append implements predict.Ledger.
func (l Ledger) Append(ctx context.Context, predictions []predict.Prediction) error {
	if err := l.Binner.Fill(ctx, predictions); err != nil {
		return err
	}
	return l.Ledger.Append(ctx, predictions)
}
