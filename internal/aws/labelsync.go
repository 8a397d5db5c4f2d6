package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/internal/export"
	"gateway/internal/outage"
	"gateway/internal/predict"
)

// Outcomes is the ledger with its record of the labels that outcomes set. Package store
// implements it.
type Outcomes interface {
	predict.Ledger
	// PutCustomers makes customers known to the ledger.
	PutCustomers(ctx context.Context, customers []predict.Customer) (inserted, updated int, err error)
	// LabelsOf returns those of the customers whose label an outcome set.
	LabelsOf(ctx context.Context, ids []string) ([]predict.LabelledCustomer, error)
	// LabelsAfter returns those whose label was set by an outcome with a number
	// above after, lowest number first, at most limit.
	LabelsAfter(ctx context.Context, after int64, limit int) ([]predict.LabelledCustomer, error)
	// MarkImported records that customers which the ledger knows from predictions are
	// imported ones, each with its imported label, if any.
	MarkImported(ctx context.Context, customers []predict.Customer) error
	// Mark and SetMark read and write a number under a name. A name that was not
	// written has 0.
	Mark(ctx context.Context, name string) (int64, error)
	SetMark(ctx context.Context, name string, value int64) error
}

// LabelSync implements predict.Ledger for customers in a DynamoDB table. It writes the
// labels that outcomes set to the ledger and then to the table.
//
// The ledger is authoritative. The table is written right after it if possible, and in any
// case before the next export, which reads the table. Each label is written at least once;
// writing it twice has no effect.
type LabelSync struct {
	outcomes  Outcomes
	customers *Customers
	log       *slog.Logger
	writes    outage.Outage // of labels to the table
}

// NewLabelSync makes a ledger that writes labels to the table of customers too.
func NewLabelSync(outcomes Outcomes, customers *Customers, log *slog.Logger) *LabelSync {
	return &LabelSync{outcomes: outcomes, customers: customers, log: log}
}

// Append implements predict.Ledger.
func (l *LabelSync) Append(ctx context.Context, predictions []predict.Prediction) error {
	return l.outcomes.Append(ctx, predictions)
}

// RecordOutcomes implements predict.Ledger.
func (l *LabelSync) RecordOutcomes(ctx context.Context, outcomes []predict.Outcome) ([]predict.Match, error) {
	matches, err := l.outcomes.RecordOutcomes(ctx, outcomes)
	if err != nil {
		return nil, err
	}
	if err := l.unpredicted(ctx, outcomes, matches); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	var ids []string
	for _, m := range matches {
		if m.Found && !seen[m.CustomerID] {
			seen[m.CustomerID] = true
			ids = append(ids, m.CustomerID)
		}
	}
	// The ledger has the outcomes. An error of the table is not an error of the call,
	// because Sync writes the labels later.
	labels, err := l.outcomes.LabelsOf(ctx, ids)
	if err == nil {
		err = l.push(ctx, labels)
	}
	switch {
	case err != nil:
		l.writes.Failed(l.log.Warn, err, "cannot write labels to the customers' table; the next export writes them first", "labels", len(ids))
	case len(labels) > 0:
		l.writes.Succeeded(l.log.Info, "labels are written to the customers' table again")
	}
	return matches, nil
}

// unpredicted records outcomes of customers that are in the table and unknown to the
// ledger, because no prediction was made for them. It adds them to the ledger first.
func (l *LabelSync) unpredicted(ctx context.Context, outcomes []predict.Outcome, matches []predict.Match) error {
	var ids []string
	for i, m := range matches {
		if !m.Found && outcomes[i].PredictionID == "" {
			ids = append(ids, outcomes[i].CustomerID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	stored, err := l.customers.Features(ctx, ids)
	if err != nil {
		return err
	}
	var again []predict.Outcome
	var at []int
	var known []predict.Customer
	for i, m := range matches {
		id := outcomes[i].CustomerID
		if _, ok := stored[id]; !ok || m.Found || outcomes[i].PredictionID != "" {
			continue
		}
		again, at = append(again, outcomes[i]), append(at, i)
		known = append(known, predict.Customer{ID: id, Features: []byte("{}")}) // the table has them
	}
	if len(again) == 0 {
		return nil
	}
	if _, _, err := l.outcomes.PutCustomers(ctx, known); err != nil {
		return err
	}
	found, err := l.outcomes.RecordOutcomes(ctx, again)
	if err != nil {
		return err
	}
	for k, i := range at {
		matches[i] = found[k]
	}
	return nil
}

// pushedMark returns the name of a mark: the number of an outcome such that the table has
// the labels of this outcome and of all before it. A table that was restored or created
// again has another id, so it gets all labels.
func pushedMark(tableID string) string { return "labels in table " + tableID }

// syncPage is the number of labels that Sync reads at a time.
const syncPage = 500

// Sync writes the labels to the table that it may not have yet.
func (l *LabelSync) Sync(ctx context.Context, tableID string) error {
	mark := pushedMark(tableID)
	after, err := l.outcomes.Mark(ctx, mark)
	for err == nil {
		var page []predict.LabelledCustomer
		if page, err = l.outcomes.LabelsAfter(ctx, after, syncPage); err != nil || len(page) == 0 {
			break
		}
		if err = l.push(ctx, page); err == nil {
			after = page[len(page)-1].Outcome
			err = l.outcomes.SetMark(ctx, mark, after)
		}
	}
	if err != nil {
		return fmt.Errorf("write labels to the customers' table: %w", err)
	}
	return nil
}

// push sets labels in the table. It marks customers in the ledger as imported which the
// ledger knows from predictions alone and which the table had already.
func (l *LabelSync) push(ctx context.Context, labels []predict.LabelledCustomer) error {
	var mu sync.Mutex
	var imported []predict.Customer
	err := inParallel(ctx, labels, func(ctx context.Context, p predict.LabelledCustomer) error {
		old, err := l.pushOne(ctx, p)
		if err != nil || !p.Made || len(old) == 0 || old[export.OriginAttribute] != nil {
			return err
		}
		known := predict.Customer{ID: p.ID}
		known.Imported = l.customers.importedLabel(old)
		mu.Lock()
		defer mu.Unlock()
		imported = append(imported, known)
		return nil
	})
	if len(imported) > 0 {
		err = errors.Join(err, l.outcomes.MarkImported(ctx, imported))
	}
	return err
}

// pushOne sets the label of a customer unless the table has one that was observed later.
// It ignores a time in the table that is further in the future than an outcome may be:
// older versions did not check that. It makes a customer that the table does not have from
// the features of its prediction, and marks it. It keeps an imported label in
// export.ImportedAttribute. It returns the item as it was before.
func (l *LabelSync) pushOne(ctx context.Context, p predict.LabelledCustomer) (old map[string]types.AttributeValue, err error) {
	names := map[string]string{"#id": l.customers.id, "#label": l.customers.schema.Label.Name, "#outcome": export.OutcomeAttribute}
	u := l.labelUpdate(p)
	first := u
	first.copy = map[string]string{export.ImportedAttribute: l.customers.schema.Label.Name}
	first.condition = "attribute_exists(#id) AND attribute_exists(#label) AND attribute_not_exists(#outcome)"
	first.conditionNames = names
	old, err = l.customers.apply(ctx, p.ID, first)
	if codeOf(err) != conditionFailed {
		return old, err
	}
	if len(old) == 0 {
		return l.makeCustomer(ctx, p, u)
	}
	u.condition = "(attribute_exists(#outcome) OR attribute_not_exists(#label)) AND (attribute_not_exists(#observed) OR #observed < :observed" +
		" OR (#observed = :observed AND #outcome < :outcome) OR #observed > :ahead)"
	u.conditionNames = map[string]string{"#label": names["#label"], "#observed": observedAttribute, "#outcome": export.OutcomeAttribute}
	u.conditionValues = map[string]types.AttributeValue{":observed": u.set[observedAttribute], ":outcome": u.set[export.OutcomeAttribute],
		":ahead": number(time.Now().Add(predict.MaxObservedAhead).UnixMicro())}
	old, err = l.customers.apply(ctx, p.ID, u)
	if codeOf(err) != conditionFailed {
		return old, err
	}
	if old[export.OutcomeAttribute] == nil { // imported or removed meanwhile: try again
		return l.pushOne(ctx, p)
	}
	return old, nil // the table has this one, or a later one
}

// labelUpdate returns the update of an item with the label that an outcome set, its time,
// its number and its caller.
func (l *LabelSync) labelUpdate(p predict.LabelledCustomer) update {
	u := update{set: map[string]types.AttributeValue{
		l.customers.schema.Label.Name: l.customers.label(*p.Label),
		observedAttribute:             number(p.ObservedAt.UnixMicro()),
		export.OutcomeAttribute:       number(p.Outcome),
	}}
	if p.Caller == "" {
		u.remove = append(u.remove, export.CallerAttribute)
	} else {
		u.set[export.CallerAttribute] = &types.AttributeValueMemberS{Value: p.Caller}
	}
	if p.LabelledAt.IsZero() {
		u.remove = append(u.remove, export.LabelledAttribute)
	} else {
		u.set[export.LabelledAttribute] = number(p.LabelledAt.UnixMicro())
	}
	return u
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// makeCustomer adds a customer to the table.
func (l *LabelSync) makeCustomer(ctx context.Context, p predict.LabelledCustomer, u update) (old map[string]types.AttributeValue, err error) {
	if err := addFeatures(u.set, p.Features); err != nil {
		return nil, fmt.Errorf("features of a customer: %w", err)
	}
	u.set[export.OriginAttribute] = &types.AttributeValueMemberS{Value: export.OriginApp}
	u.condition, u.conditionNames = "attribute_not_exists(#id)", map[string]string{"#id": l.customers.id}
	_, err = l.customers.apply(ctx, p.ID, u)
	if codeOf(err) == conditionFailed { // it exists meanwhile: update it
		return l.pushOne(ctx, p)
	}
	return nil, err
}
