package draft

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gateway/internal/schema"
)

// Label is the column to be learned.
type Label struct {
	Column   string
	Why      string // why it was taken
	Positive Class
	Negative Class
	Missing  int    // rows without a value
	Guess    bool   // which value is positive is a guess
	WhyValue string // why this value is positive
}

// Class is one of the two values of a label.
type Class struct {
	Texts []string // its spellings in the file, the commonest first
	Count int      // rows
}

// Share returns the part of the rows with a value that has the class.
func (l *Label) share(c Class) float64 {
	return float64(c.Count) / float64(l.Positive.Count+l.Negative.Count)
}

// UnclearError means that the data does not show which column is the label. It
// lists the columns with two values.
type UnclearError struct {
	Candidates []Candidate
	NearMisses []string // columns that nearly have two values, with the reason
	Notes      []string // remarks on the file
}

// Candidate is a column that may be the label.
type Candidate struct {
	Column string
	First  Class
	Second Class
}

// String describes the candidate for people.
func (c Candidate) String() string { return fmt.Sprintf("%-24s %s", c.Column, c.rates()) }

// rates lists the values with their shares of the rows.
func (c Candidate) rates() string {
	total := float64(c.First.Count + c.Second.Count)
	return fmt.Sprintf("%s %.1f %%, %s %.1f %%", quoted(c.First.Texts), 100*float64(c.First.Count)/total,
		quoted(c.Second.Texts), 100*float64(c.Second.Count)/total)
}

func (e *UnclearError) Error() string {
	var b strings.Builder
	if len(e.Candidates) == 0 {
		b.WriteString("no column has two values, so none can be the label")
	} else {
		b.WriteString("it is unclear which column is the label; name it with --label:")
		for _, c := range e.Candidates {
			fmt.Fprintf(&b, "\n  --label %-24s %s", shellQuote(c.Column), c.rates())
		}
	}
	for _, miss := range e.NearMisses {
		b.WriteString("\n  " + miss)
	}
	for _, note := range e.Notes {
		b.WriteString("\n  " + note)
	}
	return b.String()
}

// maxLabelTexts is the maximum number of spellings of a column that may be a label.
const maxLabelTexts = 20

// classes returns the values of a column with case and white space folded, and
// numbers that are equal taken as one. ok is false if there are not two.
func (c *column) classes() (classes []Class, ok bool) {
	if c.overflow || len(c.texts) > maxLabelTexts {
		return nil, false
	}
	byKey := map[string]*Class{}
	for _, text := range slices.Sorted(maps.Keys(c.texts)) {
		key := strings.ToLower(text)
		if x, _, ok := schema.ParseNumber(text); ok {
			key = fmt.Sprint(x)
		}
		k := byKey[key]
		if k == nil {
			k = &Class{}
			byKey[key] = k
		}
		k.Texts, k.Count = append(k.Texts, text), k.Count+c.texts[text]
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		k := byKey[key]
		slices.SortStableFunc(k.Texts, func(a, b string) int { return c.texts[b] - c.texts[a] })
		classes = append(classes, *k)
	}
	return classes, len(classes) == 2
}

// Names of labels, in the languages that people write. A name of an earlier tier
// wins over one of a later tier.
var labelNames = [][]string{
	{"y", "label", "target", "class", "outcome", "ziel", "zielvariable", "cible", "étiquette", "etiquette", "etiqueta", "objetivo", "bersaglio", "метка", "цель", "目标", "标签", "ラベル"},
	{"churn", "churned", "attrition", "exited", "abgewandert", "gekuendigt", "gekündigt", "kuendigung", "kündigung", "storniert", "stornierung", "résilié", "resilie", "résiliation", "annulé", "desabonné", "cancelou", "retained", "souscrit", "comprou", "compró", "impago", "impagado", "moroso", "morosidad", "inadimplente", "inadimplência", "ausfall", "zahlungsausfall", "baja", "abandono", "cancelado", "cancelled", "canceled",
		"converted", "conversion", "subscribed", "subscribe", "response", "responded", "bought", "purchased", "purchase", "gekauft", "kauf", "achat", "compra", "acquisto",
		"fraud", "is_fraud", "fraude", "betrug", "survived", "died", "death", "clicked", "click", "left", "renewed", "returned", "readmitted", "accepted", "approved", "отток", "ушел", "流失", "解約"},
	{"default", "defaulted", "default_payment", "default_payment_next_month", "risk", "good_bad", "credit_risk", "loan_status", "status", "diagnosis", "disease", "income", "revenue", "result", "ergebnis", "résultat", "resultado", "kredit", "kreditwürdig"},
}

// labelTier returns the tier of a header in labelNames, or len(labelNames).
func labelTier(header string) int {
	words := tokens(header)
	name := strings.Join(words, "_")
	for _, prefix := range []string{"is_", "has_", "target_", "ist_", "hat_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	for tier, names := range labelNames {
		if slices.Contains(names, name) {
			return tier
		}
	}
	// A name of two or three words that ends with, or begins with, such a word.
	if len(words) <= 3 && len(words) > 0 {
		for tier, names := range labelNames[1:] {
			if slices.Contains(names, words[len(words)-1]) || slices.Contains(names, words[0]) {
				return tier + 1
			}
		}
	}
	return len(labelNames)
}

// label chooses the column to be learned.
func (d *decisions) chooseLabel() (*column, []Class, string, error) {
	if name := d.opts.Label; name != "" {
		c, err := d.table.column(name)
		if err != nil {
			return nil, nil, "", &OptionError{"label", err.Error()}
		}
		classes, ok := c.classes()
		if !ok {
			return nil, nil, "", &OptionError{"label", fmt.Sprintf("column %q must have two values; %s", c.header, c.valuesText())}
		}
		return c, classes, "named by --label", nil
	}
	type candidate struct {
		column  *column
		classes []Class
		tier    int
	}
	var all []candidate
	unclear := &UnclearError{Notes: d.table.notes}
	missTier := len(labelNames) // of the columns that have the name of a label and not two values
	for _, c := range d.table.columns {
		classes, ok := c.classes()
		if ok {
			all = append(all, candidate{c, classes, labelTier(c.header)})
			unclear.Candidates = append(unclear.Candidates, Candidate{c.header, classes[0], classes[1]})
			continue
		}
		if tier := labelTier(c.header); tier < len(labelNames) {
			unclear.NearMisses = append(unclear.NearMisses, c.nearMiss())
			if !c.overflow && c.distinct() <= maxLabelTexts {
				missTier = min(missTier, tier)
			}
		}
	}
	best := len(labelNames)
	for _, a := range all {
		best = min(best, a.tier)
	}
	var winners []candidate
	for _, a := range all {
		if a.tier == best {
			winners = append(winners, a)
		}
	}
	last := d.table.columns[len(d.table.columns)-1]
	taken := func(c candidate, why string) (*column, []Class, string, error) {
		return c.column, c.classes, why + unclear.others(c.column.header) + c.column.negatedName(), nil
	}
	switch {
	case missTier < best:
		return nil, nil, "", unclear
	case len(winners) == 1 && best < len(labelNames):
		return taken(winners[0], "its name is a usual one for a label and it has two values")
	case len(all) == 1:
		return taken(all[0], "it is the only column with two values")
	case len(winners) > 1 && best < len(labelNames) && winners[len(winners)-1].column == last:
		return taken(winners[len(winners)-1], "its name is a usual one for a label and it is the last column")
	}
	return nil, nil, "", unclear
}

// others lists the candidates other than the one that was taken.
func (e *UnclearError) others(taken string) string {
	var names []string
	for _, c := range e.Candidates {
		if c.Column != taken {
			names = append(names, c.Column)
		}
	}
	const shown = 5
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return fmt.Sprintf("; column %s has two values too", quoted(names))
	case n > shown:
		return fmt.Sprintf("; columns %s and %d more have two values too", quoted(names[:shown]), n-shown)
	}
	return fmt.Sprintf("; columns %s have two values too", quoted(names))
}

// nearMiss says why a column with the name of a label cannot be one.
func (c *column) nearMiss() string {
	return fmt.Sprintf("column %q has the name of a label, but %s", c.header, c.valuesText())
}

// valuesText says which values a column has.
func (c *column) valuesText() string {
	switch n := c.distinct(); {
	case c.seen == 0:
		return "it has no value"
	case c.overflow:
		return fmt.Sprintf("it has more than %d different values", c.distinct())
	case n == 1:
		for text := range c.texts {
			value := fmt.Sprintf("%q", shorten(text, 40))
			if n := c.missingCount(); n > 0 {
				return fmt.Sprintf("its only value is %s: %s, which is taken as a missing value; if it means the other class, write that as a word", value, c.markersOf(n))
			}
			return fmt.Sprintf("every row has the value %s; a model needs rows of both classes", value)
		}
		return ""
	case n > 10:
		return fmt.Sprintf("it has %d different values", n)
	default:
		var shares []string
		for _, text := range slices.Sorted(maps.Keys(c.texts)) {
			shares = append(shares, fmt.Sprintf("%q %.1f %%", shorten(text, 40), 100*float64(c.texts[text])/float64(c.seen)))
		}
		return fmt.Sprintf("it has %d: %s", n, strings.Join(shares, ", "))
	}
}

// markersOf says how many cells are empty or have a marker of a missing value.
func (c *column) markersOf(n int) string {
	cells := "%d cells are empty or have"
	var marks []string
	for _, m := range slices.Sorted(maps.Keys(c.missing)) {
		if m != "" {
			marks = append(marks, fmt.Sprintf("%q", m))
		}
	}
	switch {
	case len(marks) == 0:
		return fmt.Sprintf("%d cells are empty", n)
	case c.missing[""] == 0:
		cells = "%d cells have"
	}
	return fmt.Sprintf(cells+" %s", n, strings.Join(marks, ", "))
}

// Words that mean yes and no, in the languages that people write.
var (
	yesWords = words("1 1.0 yes y true t ja j oui o vrai sí si s sim sì vero verdadero verdadeiro da да д tak t evet e はい 是 有 예 positive pos + on x kyllä ano áno igen")
	noWords  = words("0 0.0 no n false f nein non faux não nao falso net нет н nie hayır hayir h いいえ 否 无 無 아니요 negative neg - off ei ne nem")
)

func words(text string) []string { return strings.Fields(text) }

// Pairs of values whose second one is the event to be predicted.
var knownPairs = [][2]string{
	{"edible", "poisonous"}, {"healthy", "sick"}, {"alive", "dead"}, {"benign", "malignant"}, {"b", "m"}, {"ham", "spam"}, {"legit", "fraud"},
	{"legitimate", "fraudulent"}, {"normal", "attack"}, {"stayed", "left"}, {"stayed", "churned"}, {"stay", "churn"}, {"active", "churned"}, {"retained", "churned"}, {"existing", "churned"},
	{"aktiv", "gekündigt"}, {"fail", "pass"}, {"-1", "1"},
	{"failed", "passed"}, {"rejected", "approved"}, {"rejected", "accepted"}, {"low", "high"},
}

// orient returns the positive and the negative class, the reason, and whether it
// is a guess.
func orient(classes []Class, positive string) (pos, neg Class, why string, guess bool, err error) {
	a, b := classes[0], classes[1]
	if positive != "" {
		for _, k := range []struct{ pos, neg Class }{{a, b}, {b, a}} {
			if slices.ContainsFunc(k.pos.Texts, func(t string) bool { return sameText(t, positive) }) {
				return k.pos, k.neg, "named by --positive", false, nil
			}
		}
		return pos, neg, "", false, &OptionError{"positive", fmt.Sprintf("the label has no value %q; it has %s and %s", positive, quoted(a.Texts), quoted(b.Texts))}
	}
	x, y := fold(a), fold(b)
	switch {
	case slices.Contains(yesWords, x) && slices.Contains(noWords, y):
		return a, b, "it is the yes of the two", false, nil
	case slices.Contains(yesWords, y) && slices.Contains(noWords, x):
		return b, a, "it is the yes of the two", false, nil
	case negates(x, y):
		return b, a, "the other value is its negation", false, nil
	case negates(y, x):
		return a, b, "the other value is its negation", false, nil
	case negatesWeakly(x, y):
		return b, a, "the other value is its negation", true, nil
	case negatesWeakly(y, x):
		return a, b, "the other value is its negation", true, nil
	}
	for _, pair := range knownPairs {
		switch {
		case x == pair[0] && y == pair[1]:
			return b, a, "it is the event of a usual pair", false, nil
		case y == pair[0] && x == pair[1]:
			return a, b, "it is the event of a usual pair", false, nil
		}
	}
	if b.Count < a.Count || (a.Count == b.Count && y > x) {
		a, b = b, a
	}
	return a, b, "it is the rarer value", true, nil
}

// fold returns the commonest spelling of a class in lower case, without a full stop.
func fold(c Class) string {
	if x, _, ok := schema.ParseNumber(c.Texts[0]); ok {
		return fmt.Sprint(x)
	}
	return strings.ToLower(strings.TrimSpace(strings.TrimRight(c.Texts[0], ".!")))
}

// sameText reports whether two texts are one value of a label: in any case, and
// numbers by their value.
func sameText(a, b string) bool {
	x, _, okX := schema.ParseNumber(a)
	y, _, okY := schema.ParseNumber(b)
	return strings.EqualFold(a, strings.TrimSpace(b)) || okX && okY && x == y
}

// quoted lists texts in quotes.
func quoted(texts []string) string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = fmt.Sprintf("%q", shorten(t, 40))
	}
	return strings.Join(out, ", ")
}

// shellQuote quotes a word for a shell if it is not plain.
func shellQuote(word string) string {
	if plainYAML.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
