package artifact

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"gateway/internal/learn"
)

// XGBoostFormat is a format of XGBoost's save_model.
type XGBoostFormat int

const (
	// XGBoostBinary is the format of XGBoost before 2.1 for a file without an
	// extension, and so of SageMaker's containers up to 1.7.
	XGBoostBinary XGBoostFormat = iota
	// XGBoostUBJSON is the format of later versions.
	XGBoostUBJSON
)

// booster has the parts of a file in either format.
type booster struct {
	objective string
	kind      string // of booster
	base      float64
	margin    bool // base is log-odds, not a probability
	features  int
	classes   int
	targets   int
	trees     [][]learn.TreeNode
}

// ReadXGBoost reads the file xgboost-model: XGBoost's binary format, JSON or UBJSON.
// The model must be boosted trees for a binary label.
func ReadXGBoost(text []byte, columns []string) (*learn.Model, error) {
	var b booster
	var err error
	switch {
	case len(text) == 0:
		return nil, formatf("%s is empty", xgboostFile)
	case text[0] == 0x80:
		return nil, formatf("%s was written by pickle, as containers before version 1.3 do; train with a later version", xgboostFile)
	case text[0] == '{':
		b, err = readDocument(text)
	default:
		b, err = readBinary(bytes.TrimPrefix(text, []byte(binaryMark)))
	}
	if err != nil {
		return nil, err
	}
	columns = named(columns, b.features)
	if err := b.check(len(columns)); err != nil {
		return nil, err
	}
	base := b.base
	if !b.margin {
		base = math.Log(b.base) - math.Log1p(-b.base)
	}
	m, err := learn.NewBoosted(columns, learn.Boosted{Base: base, Trees: b.trees})
	if err != nil {
		return nil, formatf("%s: %w", xgboostFile, err)
	}
	return m, nil
}

// check returns an error unless b is a classifier of two classes by columns.
func (b *booster) check(columns int) error {
	switch {
	case b.kind != "gbtree":
		return formatf("%s has the booster %q; only gbtree is read", xgboostFile, shorten(b.kind))
	case b.objective != "binary:logistic" && b.objective != "reg:logistic":
		return formatf("%s has the objective %q; only binary:logistic is read", xgboostFile, shorten(b.objective))
	case b.classes > 1 || b.targets > 1:
		return formatf("%s has several outputs", xgboostFile)
	case b.features != columns:
		return formatf("%s has %d features, the schema has %d columns", xgboostFile, b.features, columns)
	case !b.margin && !(b.base > 0 && b.base < 1):
		return formatf("%s has the base score %v, which is no probability", xgboostFile, b.base)
	}
	return nil
}

func shorten(text string) string { return text[:min(len(text), 40)] }

// The binary format (LearnerIO::SaveModel of XGBoost 1.x): a mark, a struct of 136 bytes,
// the objective, the booster, and of gbtree a struct of 160 bytes, the trees, and the group
// of each tree. Files of version 0 have no mark and no version, and their base score is
// log-odds.
const (
	binaryMark    = "binf"
	learnerStruct = 136
	gbtreeStruct  = 160
	treeStruct    = 148
	nodeStruct    = 20
	statStruct    = 16
	defaultLeft   = 1 << 31 // in the number of a decision's column
)

func readBinary(text []byte) (b booster, err error) {
	r := &reader{text: text, file: xgboostFile}
	learner := &reader{text: r.next(learnerStruct), file: xgboostFile}
	b.base, b.features, b.classes = learner.f32(), learner.i32(), learner.i32()
	learner.next(8)
	b.margin = learner.u32() == 0 // the major version
	b.objective, b.kind = r.str(), r.str()
	if r.err != nil || b.kind != "gbtree" {
		return b, r.err
	}
	gbtree := &reader{text: r.next(gbtreeStruct), file: xgboostFile}
	trees := gbtree.i32()
	for k := 0; k < trees && r.err == nil; k++ {
		b.trees = append(b.trees, r.tree())
	}
	for k := 0; k < trees && r.err == nil; k++ {
		if r.i32() != 0 {
			r.fail("has several outputs")
		}
	}
	return b, r.err
}

// tree reads one tree of the binary format.
func (r *reader) tree() []learn.TreeNode {
	head := &reader{text: r.next(treeStruct), file: r.file}
	head.i32()
	count := head.i32()
	head.next(12)
	vector := head.i32()
	if count < 1 || vector > 1 {
		r.fail("has a tree of %d nodes with leaves of %d numbers", count, vector)
	}
	if r.err == nil && count > (len(r.text)-r.at)/(nodeStruct+statStruct) {
		r.fail("ends too early")
	}
	if r.err != nil {
		return nil
	}
	nodes := make([]learn.TreeNode, count)
	for i := range nodes {
		n := &nodes[i]
		r.i32() // parent
		n.Left, n.Right = r.i32(), r.i32()
		column := r.u32()
		n.Number = r.f32()
		if n.Leaf = n.Left == -1; !n.Leaf {
			n.Column, n.MissingLeft = int(column&^defaultLeft), column&defaultLeft != 0
		}
	}
	for i := range nodes {
		r.f32() // loss change
		nodes[i].Cover = r.f32()
		r.next(8)
	}
	if vector != 0 {
		r.next(4 * r.count(4))
	}
	return nodes
}

// readDocument reads JSON or UBJSON.
func readDocument(text []byte) (b booster, err error) {
	root, err := parseDocument(text)
	if err != nil {
		return b, err
	}
	d := &document{root: root}
	b.objective = d.text("learner", "objective", "name")
	b.kind = d.text("learner", "gradient_booster", "name")
	if d.err != nil || b.kind != "gbtree" {
		return b, d.err
	}
	b.base = d.number("learner", "learner_model_param", "base_score")
	b.features = int(d.number("learner", "learner_model_param", "num_feature"))
	b.classes = int(d.number("learner", "learner_model_param", "num_class"))
	if _, ok := d.find("learner", "learner_model_param", "num_target"); ok {
		b.targets = int(d.number("learner", "learner_model_param", "num_target"))
	}
	if slices.ContainsFunc(d.numbers("learner", "gradient_booster", "model", "tree_info"), func(x float64) bool { return x != 0 }) {
		d.fail("has several outputs")
	}
	trees, _ := d.find("learner", "gradient_booster", "model", "trees")
	list, ok := trees.([]any)
	if numbers, empty := trees.([]float64); !ok && !(empty && len(numbers) == 0) {
		d.fail("has no list of trees")
	}
	for _, t := range list {
		b.trees = append(b.trees, readTree(d, t))
	}
	return b, d.err
}

// readTree reads one tree of a document: an object with an array for each field of its
// nodes.
func readTree(whole *document, t any) []learn.TreeNode {
	d := &document{root: t}
	left, right := d.numbers("left_children"), d.numbers("right_children")
	column, number := d.numbers("split_indices"), d.numbers("split_conditions")
	missing, cover := d.numbers("default_left"), d.numbers("sum_hessian")
	count := len(left)
	for _, a := range [][]float64{right, column, number, missing, cover} {
		if len(a) != count {
			d.fail("has a tree of %d nodes with %d values", count, len(a))
		}
	}
	for _, name := range []string{"split_type", "categories"} {
		if _, ok := d.find(name); ok && slices.ContainsFunc(d.numbers(name), func(x float64) bool { return x != 0 || name == "categories" }) {
			d.fail("has decisions on categories, which are not read")
		}
	}
	if whole.err = cmp.Or(whole.err, d.err); whole.err != nil {
		return nil
	}
	nodes := make([]learn.TreeNode, count)
	for i := range nodes {
		n := &nodes[i]
		// JSON has the shortest decimal of a float32, which float64 would not round alike.
		n.Number, n.Cover = single(number[i]), single(cover[i])
		if n.Leaf = left[i] == -1; !n.Leaf {
			n.Left, n.Right, n.Column, n.MissingLeft = index(left[i]), index(right[i]), index(column[i]), missing[i] != 0
		}
	}
	return nodes
}

func single(x float64) float64 { return float64(float32(x)) }

// index returns x as an index, or -1 if it is none.
func index(x float64) int {
	if !(x >= 0 && x <= math.MaxInt32) || x != math.Trunc(x) {
		return -1
	}
	return int(x)
}

// parameter parses a number of a document: a number, or text, as XGBoost writes
// parameters. Since 3.1 the base score is a list of one number, [5E-1].
func parameter(value any) (float64, bool) {
	switch value := value.(type) {
	case float64:
		return value, true
	case string:
		text := strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
		x, err := strconv.ParseFloat(text, 32)
		return x, err == nil
	case []float64:
		if len(value) == 1 {
			return value[0], true
		}
	}
	return 0, false
}
