package artifact

import (
	"encoding/binary"
	"math"
	"strconv"

	"gateway/internal/learn"
)

// WriteXGBoost returns the file xgboost-model of boosted trees.
func WriteXGBoost(m *learn.Model, format XGBoostFormat) ([]byte, error) {
	parts, err := m.Boosted()
	if err != nil {
		return nil, err
	}
	base, features := 1/(1+math.Exp(-parts.Base)), len(m.Columns())
	if format == XGBoostBinary {
		return appendBinary(nil, base, features, parts.Trees), nil
	}
	return appendUBJSON(nil, base, features, parts.Trees), nil
}

// appendBinary appends the binary format of XGBoost 1.7.
func appendBinary(dst []byte, base float64, features int, trees [][]learn.TreeNode) []byte {
	w := writer(append(dst, binaryMark...))
	w.f32(base)
	w.i32(features)
	w.zeros(12) // classes, attributes, metrics
	w.u32(1)    // version 1.7
	w.u32(7)
	w.u32(1) // targets
	w.zeros(learnerStruct - 8*4)
	w.str("binary:logistic")
	w.str("gbtree")
	w.i32(len(trees))
	w.i32(1) // roots
	w.zeros(gbtreeStruct - 2*4)
	for _, t := range trees {
		w.i32(1) // roots
		w.i32(len(t))
		w.zeros(2 * 4)
		w.i32(features)
		w.zeros(treeStruct - 5*4)
		up := parents(t)
		for i, n := range t {
			left, right, column := n.Left, n.Right, uint32(n.Column)
			if n.Leaf {
				left, right, column = -1, -1, 0
			}
			if n.MissingLeft {
				column |= defaultLeft
			}
			parent := uint32(up[i])
			if up[i] >= 0 && t[up[i]].Left == i {
				parent |= 1 << 31 // a left child
			}
			w.u32(parent)
			w.i32(left)
			w.i32(right)
			w.u32(column)
			w.f32(n.Number)
		}
		for _, n := range t {
			w.f32(0)
			w.f32(n.Cover)
			w.f32(0)
			w.i32(0)
		}
	}
	w.zeros(4 * len(trees)) // all of the one output
	return w
}

// parents returns the position of each node's parent, -1 for the root.
func parents(t []learn.TreeNode) []int {
	out := make([]int, len(t))
	out[0] = -1
	for i, n := range t {
		if !n.Leaf {
			out[n.Left], out[n.Right] = i, i
		}
	}
	return out
}

// appendUBJSON appends the UBJSON of XGBoost 2.1.
func appendUBJSON(dst []byte, base float64, features int, trees [][]learn.TreeNode) []byte {
	u := ubjsonWriter(dst)
	u.open()
	u.name("learner").open()
	u.name("attributes").open().close()
	u.name("feature_names").begin().end()
	u.name("feature_types").begin().end()
	u.name("gradient_booster").open()
	u.name("model").open()
	u.name("gbtree_model_param").open()
	u.name("num_parallel_tree").text("1")
	u.name("num_trees").text(strconv.Itoa(len(trees)))
	u.close()
	u.name("iteration_indptr").list(len(trees)+1, func(i int) int { return i })
	u.name("tree_info").list(len(trees), func(int) int { return 0 })
	u.name("trees").begin()
	for k, t := range trees {
		u.tree(k, features, t)
	}
	u.end()
	u.close()
	u.name("name").text("gbtree")
	u.close()
	u.name("learner_model_param").open()
	u.name("base_score").text(strconv.FormatFloat(base, 'E', -1, 32))
	u.name("boost_from_average").text("1")
	u.name("num_class").text("0")
	u.name("num_feature").text(strconv.Itoa(features))
	u.name("num_target").text("1")
	u.close()
	u.name("objective").open()
	u.name("name").text("binary:logistic")
	u.name("reg_loss_param").open()
	u.name("scale_pos_weight").text("1")
	u.close()
	u.close()
	u.close()
	u.name("version").list(3, func(i int) int { return []int{2, 1, 0}[i] })
	u.close()
	return u
}

// ubjsonWriter appends UBJSON.
type ubjsonWriter []byte

func (u *ubjsonWriter) raw(text string) *ubjsonWriter { *u = append(*u, text...); return u }
func (u *ubjsonWriter) open() *ubjsonWriter           { return u.raw("{") }
func (u *ubjsonWriter) close() *ubjsonWriter          { return u.raw("}") }
func (u *ubjsonWriter) begin() *ubjsonWriter          { return u.raw("[") }
func (u *ubjsonWriter) end() *ubjsonWriter            { return u.raw("]") }

func (u *ubjsonWriter) length(n int) *ubjsonWriter {
	*u = binary.BigEndian.AppendUint64(append(*u, 'L'), uint64(n))
	return u
}

func (u *ubjsonWriter) name(name string) *ubjsonWriter { return u.length(len(name)).raw(name) }
func (u *ubjsonWriter) text(text string)               { u.raw("S").length(len(text)).raw(text) }

// list appends an array of integers that each have their type: XGBoost takes no typed array
// there.
func (u *ubjsonWriter) list(count int, number func(i int) int) {
	u.raw("[#").length(count)
	for i := range count {
		*u = binary.BigEndian.AppendUint32(append(*u, 'l'), uint32(int32(number(i))))
	}
}

// numbers appends a typed array: l is int32, L int64 (only empty ones), d float32, U uint8.
func (u *ubjsonWriter) numbers(kind byte, count int, number func(i int) float64) {
	*u = append(*u, '[', '$', kind, '#')
	u.length(count)
	for i := range count {
		switch x := number(i); kind {
		case 'l':
			*u = binary.BigEndian.AppendUint32(*u, uint32(int32(x)))
		case 'd':
			*u = binary.BigEndian.AppendUint32(*u, bits32(x))
		case 'U':
			*u = append(*u, byte(x))
		}
	}
}

// tree appends a tree as an object with an array for each field of its nodes.
func (u *ubjsonWriter) tree(id, features int, t []learn.TreeNode) {
	up := parents(t)
	child := func(of func(learn.TreeNode) int) func(int) float64 {
		return func(i int) float64 {
			if t[i].Leaf {
				return -1
			}
			return float64(of(t[i]))
		}
	}
	u.open()
	zero := func(int) float64 { return 0 }
	u.name("base_weights").numbers('d', len(t), zero)
	u.name("categories").numbers('l', 0, zero)
	u.name("categories_nodes").numbers('l', 0, zero)
	u.name("categories_segments").numbers('L', 0, zero)
	u.name("categories_sizes").numbers('L', 0, zero)
	u.name("default_left").numbers('U', len(t), func(i int) float64 {
		if t[i].MissingLeft {
			return 1
		}
		return 0
	})
	u.name("id").raw("l")
	*u = binary.BigEndian.AppendUint32(*u, uint32(id))
	u.name("left_children").numbers('l', len(t), child(func(n learn.TreeNode) int { return n.Left }))
	u.name("loss_changes").numbers('d', len(t), zero)
	u.name("parents").numbers('l', len(t), func(i int) float64 {
		if up[i] < 0 {
			return math.MaxInt32
		}
		return float64(up[i])
	})
	u.name("right_children").numbers('l', len(t), child(func(n learn.TreeNode) int { return n.Right }))
	u.name("split_conditions").numbers('d', len(t), func(i int) float64 { return t[i].Number })
	u.name("split_indices").numbers('l', len(t), func(i int) float64 { return float64(t[i].Column) })
	u.name("split_type").numbers('U', len(t), zero)
	u.name("sum_hessian").numbers('d', len(t), func(i int) float64 { return t[i].Cover })
	u.name("tree_param").open()
	u.name("num_deleted").text("0")
	u.name("num_feature").text(strconv.Itoa(features))
	u.name("num_nodes").text(strconv.Itoa(len(t)))
	u.name("size_leaf_vector").text("1")
	u.close()
	u.close()
}
