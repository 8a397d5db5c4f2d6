package failure

// Codes of violations. They are part of the public interface.
const (
	CodeMissing   = "missing"       // a feature without a default is absent
	CodeUnknown   = "unknown_field" // no such feature or member
	CodeType      = "type"          // a JSON type other than the schema's
	CodeInteger   = "not_integer"   // a number with a fraction for an integer feature
	CodeRange     = "out_of_range"  // below min, above max, or beyond what a number can hold
	CodeCategory  = "unknown_category"
	CodeDuplicate = "duplicate" // the same feature twice, by its name and an alias
	CodeFormat    = "format"    // right type, wrong format
)

// Violation is one way in which an input breaks the schema. Field is a JSON
// Pointer where the field is nested, else its bare name. Detail repeats a
// value only where the feature is not personal.
type Violation struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// MaxViolations is the maximum number of violations that are listed for one body.
// The others are counted: a body of a few kilobytes can have ten thousand.
const MaxViolations = 100

// Violations collects the violations of a body: it lists the first
// MaxViolations and counts the others.
type Violations struct {
	Listed  []Violation
	Omitted int
	taken   int // violations of the same body that Take has returned
}

// Full reports whether further violations will only be counted, so that they need
// no description.
func (v *Violations) Full() bool { return len(v.Listed)+v.taken >= MaxViolations }

// Count returns how many violations there are.
func (v *Violations) Count() int { return len(v.Listed) + v.Omitted }

// Add adds a violation.
func (v *Violations) Add(one Violation) {
	if v.Full() {
		v.Omitted++
		return
	}
	v.Listed = append(v.Listed, one)
}

// Take returns the violations and empties v. What it returned counts against
// MaxViolations of the body.
func (v *Violations) Take() Violations {
	out := *v
	*v = Violations{taken: v.taken + len(v.Listed)}
	return out
}

// PutBack puts violations that Take returned before those added since.
func (v *Violations) PutBack(before Violations) {
	v.Listed = append(before.Listed, v.Listed...)
	v.Omitted += before.Omitted
	v.taken -= len(before.Listed)
}
