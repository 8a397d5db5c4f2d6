package wire

// Mark says by what the answer to a request is told from others. Requests with
// different values have answers that do not fit each other.
type Mark struct {
	Value uint8
	// Apart is the minimum number of requests on a connection between two of the
	// same value. Zero: the answer cannot be distinguished from others.
	Apart uint8
}

// MaxApart bounds Mark.Apart.
const MaxApart = 4

// Marks are the values of the newest requests on a connection.
type Marks struct {
	values [MaxApart]uint8
	sent   int
}

// Allow reports whether a request with the mark may go over the connection. An
// answer that arrives twice, the second time during this request, does not fit it
// then.
func (m *Marks) Allow(mark Mark) bool {
	for back := 1; back <= min(int(mark.Apart), MaxApart, m.sent); back++ {
		if m.values[(m.sent-back)%MaxApart] == mark.Value {
			return false
		}
	}
	return true
}

// Add notes a request.
func (m *Marks) Add(mark Mark) {
	m.values[m.sent%MaxApart] = mark.Value
	m.sent++
}
