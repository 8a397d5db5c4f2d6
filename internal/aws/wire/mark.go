package wire

// Mark identifies the content of a request by which its answer is checked. An answer to a
// request with another value does not pass the check.
type Mark struct {
	Value uint8
	// Apart is the number of preceding requests on the same connection that must have
	// other values. Zero: the answer cannot be checked, and none must.
	Apart uint8
}

// MaxApart bounds Mark.Apart.
const MaxApart = 4

// Marks are the values of the latest requests on a connection.
type Marks struct {
	values [MaxApart]uint8
	sent   int
}

// Allow reports whether a request with the mark may use the connection. If it may, an
// answer to one of the preceding requests that arrives a second time does not pass for
// the answer to this one.
func (m *Marks) Allow(mark Mark) bool {
	for back := 1; back <= min(int(mark.Apart), MaxApart, m.sent); back++ {
		if m.values[(m.sent-back)%MaxApart] == mark.Value {
			return false
		}
	}
	return true
}

// Add records a request.
func (m *Marks) Add(mark Mark) {
	m.values[m.sent%MaxApart] = mark.Value
	m.sent++
}
