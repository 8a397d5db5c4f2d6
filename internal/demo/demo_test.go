package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// customer is a generated customer as its features tell of it.
type customer struct {
	Age       int     `json:"age"`
	Job       string  `json:"job"`
	Marital   string  `json:"marital"`
	Education string  `json:"education"`
	Default   string  `json:"default"`
	Housing   string  `json:"housing"`
	Loan      string  `json:"loan"`
	Contact   string  `json:"contact"`
	Month     string  `json:"month"`
	Duration  int     `json:"duration"`
	Campaign  int     `json:"campaign"`
	Pdays     int     `json:"pdays"`
	Previous  int     `json:"previous"`
	Poutcome  string  `json:"poutcome"`
	EmpVar    float64 `json:"emp_var_rate"`
	Price     float64 `json:"cons_price_idx"`
	Conf      float64 `json:"cons_conf_idx"`
	Euribor   float64 `json:"euribor3m"`
	Employed  float64 `json:"nr_employed"`

	label *int
}

// generate makes customers of the bank schema and reads them back.
func generate(t testing.TB, n int, seed uint64) []customer {
	t.Helper()
	made, err := Customers(schema.Bank(), n, seed)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]customer, n)
	for i, c := range made {
		if err := json.Unmarshal(c.Features, &all[i]); err != nil {
			t.Fatal(err)
		}
		all[i].label = c.Label
	}
	return all
}

// digest hashes ids, features and labels.
func digest(customers []predict.Customer) string {
	h := sha256.New()
	for _, c := range customers {
		label := "-"
		if c.Label != nil {
			label = strconv.Itoa(*c.Label)
		}
		h.Write([]byte(c.ID + " " + string(c.Features) + " " + label + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func customersOf(t testing.TB, n int, seed uint64) []predict.Customer {
	t.Helper()
	customers, err := Customers(schema.Bank(), n, seed)
	if err != nil {
		t.Fatal(err)
	}
	return customers
}

// A change of this literal means other demo customers, and so other numbers
// wherever the documentation shows what they give.
func TestTheSameSeedGivesTheSameCustomers(t *testing.T) {
	const want = "cfebcf85ff27907561c1785a48e03abde249f5800fc5c30af4301c8e876e7ad1"
	customers := customersOf(t, 1000, 1)
	if got := digest(customers); got != want {
		t.Errorf("got %s, want %s\nthe first is %s", got, want, customers[0].Features)
	}
	if digest(customersOf(t, 1000, 1)) != digest(customers) {
		t.Error("the second run differs from the first")
	}
	if digest(customersOf(t, 1500, 1)[:1000]) != digest(customers) {
		t.Error("more customers change the first thousand")
	}
	if digest(customersOf(t, 1000, 2)) == digest(customers) {
		t.Error("another seed gives the same customers")
	}
}

func TestCustomersAreValidUnderTheSchema(t *testing.T) {
	bank := string(schema.BankYAML())
	for name, text := range map[string]string{
		"bank":             bank,
		"ordinal":          strings.ReplaceAll(bank, "type: category,", "type: category, encode: ordinal,"),
		"without duration": strings.Replace(bank, "{name: duration,", "{name: duration, exclude: true,", 1),
		"personal":         strings.Replace(bank, "{name: age,", "{name: age, personal: true,", 1),
	} {
		t.Run(name, func(t *testing.T) {
			s := parse(t, text)
			if !Fits(s) {
				t.Fatal("the schema does not fit")
			}
			customers, err := Customers(s, 1_000, 7)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range customers {
				if c.ID != strconv.Itoa(10_001+i) || !c.Demo || c.Outcome != 0 || (c.Label != nil && *c.Label != 0 && *c.Label != 1) {
					t.Fatalf("customer %d: %+v", i, c)
				}
				r, err := s.DecodeStored(c.Features, nil)
				if err != nil {
					t.Fatal(err)
				}
				if string(s.AppendFeatures(nil, r, true)) != string(c.Features) || strings.Count(string(c.Features), ":") != 20 {
					t.Fatalf("customer %s does not come back as it is: %s", c.ID, c.Features)
				}
				r.Mapped(func(f int) { t.Errorf("customer %s has an unlisted %s", c.ID, s.Features[f].Name) })
				if len(s.Complete(r, "")) > 0 || len(s.Encode(r)) != s.Width() {
					t.Fatalf("customer %s is not complete: %s", c.ID, c.Features)
				}
			}
		})
	}
	if customers := customersOf(t, 42, 1); customers[41].ID != "10042" {
		t.Errorf("the customer of the examples is %s", customers[41].ID)
	}
	if none, err := Customers(schema.Bank(), 0, 1); err != nil || len(none) != 0 {
		t.Errorf("no customers: %d, %v", len(none), err)
	}
}

func parse(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFits(t *testing.T) {
	const head = "name: x\nid: customer_id\nlabel: {name: y, positive: [1], negative: [0]}\nfeatures:\n"
	for name, tt := range map[string]struct {
		feature string
		want    bool
	}{
		"a part of the bank schema":       {"  - {name: age, type: integer}\n  - {name: contact, type: category, values: [telephone, cellular, letter]}", true},
		"a whole number as any number":    {"  - {name: age, type: number}", true},
		"a range that is wide enough":     {"  - {name: age, type: integer, min: 18, max: 95}", true},
		"a range that begins too high":    {"  - {name: age, type: integer, min: 21}", false},
		"a range that ends too low":       {"  - {name: age, type: integer, max: 94}", false},
		"pdays without 999":               {"  - {name: pdays, type: integer, max: 100}", false},
		"a decimal as integer":            {"  - {name: euribor3m, type: integer}", false},
		"a number as category":            {`  - {name: age, type: category, values: ["34"]}`, false},
		"a category as number":            {"  - {name: job, type: number}", false},
		"a value missing":                 {"  - {name: contact, type: category, values: [cellular]}", false},
		"a value missing, though unknown": {"  - {name: contact, type: category, values: [cellular, other], unknown: other}", false},
		"a foreign feature":               {"  - {name: age, type: integer}\n  - {name: income, type: number}", false},
		"a foreign feature with default":  {"  - {name: age, type: integer}\n  - {name: income, type: number, default: 0}", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := parse(t, head+tt.feature+"\n")
			if got := Fits(s); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if customers, err := Customers(s, 500, 1); (err == nil) != tt.want || (err == nil) != (len(customers) == 500) {
				t.Errorf("%d customers, %v", len(customers), err)
			}
		})
	}
}

func TestAttributesAgreeWithEachOther(t *testing.T) {
	type indicators struct {
		month                         string
		empVar, price, conf, employed float64
	}
	known := map[indicators]*period{}
	for i := range periods {
		p := &periods[i]
		number := func(text string) float64 {
			x, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		known[indicators{p.month, number(p.empVarRate), number(p.consPriceIdx), number(p.consConfIdx), number(p.nrEmployed)}] = p
	}
	if len(known) != len(periods) {
		t.Fatalf("%d of %d periods are told apart", len(known), len(periods))
	}
	seen := map[*period]bool{}
	for i, c := range generate(t, 10_000, 3) {
		bad := func(rule string) { t.Errorf("customer %d breaks %q: %+v", i, rule, c) }
		never := c.Poutcome == "nonexistent"
		if (c.Pdays == 999) != never || (c.Previous == 0) != never || (!never && (c.Pdays < 1 || c.Pdays > 30)) {
			bad("pdays 999, previous 0 and poutcome nonexistent go together")
		}
		if c.Job == "retired" && c.Age < 50 {
			bad("the retired are old")
		}
		if c.Job == "student" && c.Age > 34 {
			bad("students are young")
		}
		if (c.Housing == "unknown") != (c.Loan == "unknown") {
			bad("loans are told together")
		}
		if c.Campaign < 1 || c.Duration < 5 || c.Age < 18 || c.Age > 95 {
			bad("bounds")
		}
		p := known[indicators{c.Month, c.EmpVar, c.Price, c.Conf, c.Employed}]
		if p == nil {
			bad("month and indicators are of one period")
			continue
		}
		seen[p] = true
		if at := int(math.Round(c.Euribor * 1000)); at < p.euriborLow || at > p.euriborHigh {
			bad("the Euribor is that of the period")
		}
	}
	if len(seen) != len(periods) {
		t.Errorf("only %d of %d periods occur", len(seen), len(periods))
	}
}

// The attributes that Fits relies on are all that the tables can give.
func TestTablesKeepWithinTheAttributes(t *testing.T) {
	for job, shares := range educationByJob {
		for _, s := range shares {
			if !slices.Contains(attributes[find("education")].values, s.value) {
				t.Errorf("education %q of %s is not announced", s.value, job)
			}
		}
		if ages[job].most == 0 || ages[job].least < minAge || ages[job].most > maxAge {
			t.Errorf("ages of %s: %+v", job, ages[job])
		}
	}
	for _, job := range jobs {
		if educationByJob[job.value] == nil {
			t.Errorf("no education for %s", job.value)
		}
	}
	for _, group := range maritalByAge {
		for _, s := range group.shares {
			if !slices.Contains(attributes[find("marital")].values, s.value) {
				t.Errorf("marital %q is not announced", s.value)
			}
		}
	}
	for _, p := range periods {
		for name, text := range map[string]string{"emp_var_rate": p.empVarRate, "cons_price_idx": p.consPriceIdx,
			"cons_conf_idx": p.consConfIdx, "nr_employed": p.nrEmployed, "euribor3m": thousandths(p.euriborLow)} {
			a := attributes[find(name)]
			if x, err := strconv.ParseFloat(text, 64); err != nil || x < a.low || x > a.high {
				t.Errorf("%s of %s is %s, outside %v to %v", name, p.month, text, a.low, a.high)
			}
		}
		if high := float64(p.euriborHigh) / 1000; p.euriborLow > p.euriborHigh || high > attributes[find("euribor3m")].high {
			t.Errorf("the Euribor of %s: %d to %d", p.month, p.euriborLow, p.euriborHigh)
		}
	}
}

func TestSharesAreAsDocumented(t *testing.T) {
	for seed := range uint64(3) {
		unlabelled, positive, labelled := 0, 0, 0
		for _, c := range generate(t, 6_000, seed) {
			if c.label == nil {
				unlabelled++
				continue
			}
			labelled++
			positive += *c.label
		}
		if rate := float64(positive) / float64(labelled); rate < 0.095 || rate > 0.125 {
			t.Errorf("seed %d: %.3f subscribe, want about 0.11", seed, rate)
		}
		if share := float64(unlabelled) / 6_000; share < 0.085 || share > 0.115 {
			t.Errorf("seed %d: %.3f are unlabelled, want about 0.10", seed, share)
		}
	}
}

// Everything the package comment says of the signal, measured on many people.
func TestTheSignalIsThere(t *testing.T) {
	const n = 100_000
	random := rand.New(rand.NewPCG(11, 12))
	people, subscribed := make([]person, n), make([]bool, n)
	for i := range people {
		people[i] = newPerson(random)
		subscribed[i] = people[i].subscribes(random)
	}
	type group func(p *person) bool
	rate := func(which ...group) float64 {
		count, positive := 0, 0
	next:
		for i := range people {
			for _, in := range which {
				if !in(&people[i]) {
					continue next
				}
			}
			count++
			if subscribed[i] {
				positive++
			}
		}
		if count < 300 {
			t.Fatalf("only %d people to judge by", count)
		}
		return float64(positive) / float64(count)
	}
	all := func(*person) bool { return true }
	// Groups are compared within a time where the time would blur them.
	before := func(p *person) bool { return p.euribor > 4500 }
	crisis := func(p *person) bool { return p.euribor > 1200 && p.euribor < 2000 }
	middleAged := func(p *person) bool { return p.age > 35 && p.age < 50 }
	month := func(name string) group { return func(p *person) bool { return p.period.month == name } }
	outcome := func(name string) group { return func(p *person) bool { return p.poutcome == name } }
	contact := func(name string) group { return func(p *person) bool { return p.contact == name } }
	for name, tt := range map[string]struct {
		more, less, among group
		times             float64 // minimum ratio of the rates
	}{
		"long calls over short ones":          {func(p *person) bool { return p.duration > 600 }, func(p *person) bool { return p.duration < 200 }, all, 5},
		"success over no campaign":            {outcome("success"), outcome("nonexistent"), crisis, 2},
		"no campaign over failure":            {outcome("nonexistent"), outcome("failure"), crisis, 1.1},
		"a low Euribor over a high one":       {func(p *person) bool { return p.euribor < 1100 }, before, all, 3},
		"March over April":                    {month("mar"), month("apr"), crisis, 1.3},
		"April over May":                      {month("apr"), month("may"), crisis, 1.3},
		"cellular over telephone":             {contact("cellular"), contact("telephone"), all, 1.5},
		"cellular over telephone in one July": {contact("cellular"), contact("telephone"), func(p *person) bool { return before(p) && p.period.month == "jul" }, 1.1},
		"the young over the middle-aged":      {func(p *person) bool { return p.age < 26 }, middleAged, before, 1.1},
		"the old over the middle-aged":        {func(p *person) bool { return p.age > 62 }, middleAged, before, 1.2},
		"known credit over unknown":           {func(p *person) bool { return p.credit == "no" }, func(p *person) bool { return p.credit == "unknown" }, middleAged, 1.1},
		"one call over many":                  {func(p *person) bool { return p.campaign == 1 }, func(p *person) bool { return p.campaign > 5 }, all, 1.1},
	} {
		if more, less := rate(tt.more, tt.among), rate(tt.less, tt.among); more < tt.times*less {
			t.Errorf("%s: %.3f to %.3f, want %.2f times as many", name, more, less, tt.times)
		}
	}
	// And what has no effect shows none.
	yes, no := rate(func(p *person) bool { return p.housing == "yes" }), rate(func(p *person) bool { return p.housing == "no" })
	if math.Abs(yes-no) > 0.007 {
		t.Errorf("a housing loan: %.3f to %.3f, want no difference", yes, no)
	}
}

func TestTheBestModelReachesTheDocumentedArea(t *testing.T) {
	type scored struct {
		score    float64
		positive bool
	}
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]scored, 30_000)
	positives := 0.0
	for i := range all {
		p := newPerson(random)
		all[i] = scored{p.logOdds(), p.subscribes(random)}
		if all[i].positive {
			positives++
		}
	}
	sort.Slice(all, func(a, b int) bool { return all[a].score < all[b].score })
	ranks := 0.0
	for i, s := range all {
		if s.positive {
			ranks += float64(i + 1)
		}
	}
	area := (ranks - positives*(positives+1)/2) / (positives * (float64(len(all)) - positives))
	if area < 0.90 || area > 0.93 {
		t.Errorf("the area under the curve is %.3f, want about 0.915", area)
	}
}

func TestEffectsAreThoseOfTheTable(t *testing.T) {
	neutral := func() person {
		return person{age: 42, contact: "telephone", credit: "no", duration: 240, campaign: 1, poutcome: "nonexistent",
			period: &period{month: "jul"}, euribor: 3600}
	}
	for name, tt := range map[string]struct {
		change func(*person)
		want   float64
	}{
		"none":                    {func(*person) {}, 0},
		"a minute more":           {func(p *person) { p.duration = 300 }, 60 * 0.0065},
		"a minute less":           {func(p *person) { p.duration = 180 }, -60 * 0.0065},
		"an hour":                 {func(p *person) { p.duration = 3600 }, 960 * 0.0065},
		"success":                 {func(p *person) { p.poutcome = "success" }, 1.9},
		"failure":                 {func(p *person) { p.poutcome = "failure" }, -0.3},
		"a point of the Euribor":  {func(p *person) { p.euribor = 4600 }, -0.7},
		"three points less":       {func(p *person) { p.euribor = 600 }, 2.1},
		"March":                   {func(p *person) { p.period.month = "mar" }, 1.0},
		"December":                {func(p *person) { p.period.month = "dec" }, 0.6},
		"September":               {func(p *person) { p.period.month = "sep" }, 0.4},
		"October":                 {func(p *person) { p.period.month = "oct" }, 0.4},
		"November":                {func(p *person) { p.period.month = "nov" }, -0.3},
		"May":                     {func(p *person) { p.period.month = "may" }, -0.6},
		"a cellular phone":        {func(p *person) { p.contact = "cellular" }, 0.35},
		"two decades younger":     {func(p *person) { p.age = 22 }, 0.4},
		"two decades older":       {func(p *person) { p.age = 62 }, 0.4},
		"five decades older":      {func(p *person) { p.age = 92 }, 1.0},
		"the third call":          {func(p *person) { p.campaign = 3 }, -0.1},
		"the fortieth call":       {func(p *person) { p.campaign = 40 }, -0.5},
		"nothing known of credit": {func(p *person) { p.credit = "unknown" }, -0.25},
	} {
		p := neutral()
		tt.change(&p)
		if got := p.logOdds() - (-3.52); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %+.4f, want %+.4f", name, got, tt.want)
		}
	}
}

func BenchmarkCustomers(b *testing.B) {
	s := schema.Bank()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Customers(s, 6_000, 1); err != nil {
			b.Fatal(err)
		}
	}
}
