package api

import (
	"bytes"
	"net/http"

	"gateway/api/edge"
	"gateway/internal/schema"
)

// What large requests hold of the memory, in bytes; see edge.Hold. A list of up to
// smallList rows is charged nothing: a permit is reckoned with as much.
const (
	smallList = 16
	// jsonCost is what a byte of JSON takes that the strict decoder reads, which
	// notes the names of all members of an object.
	jsonCost = 8
	// outcomeCost is what an outcome of a list takes: as it is read, its match or
	// its error, the answer, and the copy of the answer that is kept for a
	// repetition of the request.
	outcomeCost = 2 << 10
	// streamCost is what the buffers of a stream take, besides the rows of a chunk.
	streamCost = spillMemory + 256<<10
	// chargedAtOnce is how many rows are charged together.
	chargedAtOnce = 64
)

// rowCost is what a prediction of a list takes: the row as it is read, encoded
// and sent to the model, its record for the ledger, and the answer.
func rowCost(s *schema.Schema) int64 {
	return 2048 + 48*int64(len(s.Features)) + 16*int64(s.Width())
}

// scoreCost is what a row of numbers takes: its vector, and the score in the answer.
func scoreCost(s *schema.Schema) int64 { return 192 + 8*int64(s.Width()) }

// holdRows raises what a request with a list holds, where the list has rows of
// such a cost. Lists of few rows hold nothing.
func (a *api) holdRows(r *http.Request, text *bytes.Buffer, rows int, cost int64) error {
	if rows <= smallList {
		return nil
	}
	return a.edge.Hold(r, edge.BodyCost*int64(text.Len())+int64(rows)*cost)
}

// holdRow does so for the row of a number, counted from 0, that is about to be
// read. Rows are charged some at a time. What a list is likely to take is charged
// before it is read, so that a list that is refused has cost little; rows that are
// no objects are charged here.
func (a *api) holdRow(r *http.Request, text *bytes.Buffer, i int, cost int64) error {
	switch {
	case i == smallList:
		return a.holdRows(r, text, chargedAtOnce, cost)
	case i > smallList && i%chargedAtOnce == 0:
		return a.holdRows(r, text, i+chargedAtOnce, cost)
	}
	return nil
}

// holdReplay raises what a request holds by an answer that was kept, which is in
// memory until the caller has read it. Small ones hold nothing.
func (a *api) holdReplay(r *http.Request, body, answer []byte) error {
	if len(answer) <= edge.SmallBody {
		return nil
	}
	return a.edge.Hold(r, edge.BodyCost*int64(len(body))+int64(len(answer)))
}

// maxObjects is how many objects a list in an object has, or more.
func maxObjects(text []byte, most int) int {
	return max(1, min(bytes.Count(text, []byte("{"))-1, most))
}

// maxInstances is how many instances a list has at most, if the fast path can
// read it: each is an object, and may have its features in an object of its own.
func maxInstances(text []byte, most int) int {
	objects := bytes.Count(text, []byte("{")) - 1 - bytes.Count(text, []byte(`"features":`))
	return max(1, min(objects, most))
}
