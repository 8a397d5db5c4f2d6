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
	// jsonCost is the memory for a byte of JSON that the strict decoder reads. The decoder
	// holds the names of all members of an object.
	jsonCost = 8
	// outcomeCost is the memory for an outcome of a list: the decoded outcome, its match or
	// error, its part of the response, and the copy of that for a repetition.
	outcomeCost = 2 << 10
	// streamCost is the memory for the buffers of a stream, without the rows of a chunk.
	streamCost = spillMemory + 256<<10
	// chargedAtOnce is how many rows are charged at a time.
	chargedAtOnce = 64
)

// rowCost is the memory for a prediction of a list, in bytes: the row as it is decoded,
// encoded and sent to the model, its record for the ledger, and its part of the response.
func rowCost(s *schema.Schema) int64 {
	return 2048 + 48*int64(len(s.Features)) + 16*int64(s.Width())
}

// scoreCost is the memory for a row of numbers, in bytes: its vector, and its score in the
// response.
func scoreCost(s *schema.Schema) int64 { return 192 + 8*int64(s.Width()) }

// holdRows charges a request for a list of rows of a cost each. A list of up to smallList
// rows is charged nothing.
func (a *api) holdRows(r *http.Request, text *bytes.Buffer, rows int, cost int64) error {
	if rows <= smallList {
		return nil
	}
	return a.edge.Hold(r, edge.BodyCost*int64(text.Len())+int64(rows)*cost)
}

// holdRow charges a request for row i, counted from 0, which is read next; it charges for
// several rows at a time. The rows that a list probably has, by its objects, have been
// charged before it is read, so that a refused list costs little. Elements that are no
// objects are charged here only.
func (a *api) holdRow(r *http.Request, text *bytes.Buffer, i int, cost int64) error {
	switch {
	case i == smallList:
		return a.holdRows(r, text, chargedAtOnce, cost)
	case i > smallList && i%chargedAtOnce == 0:
		return a.holdRows(r, text, i+chargedAtOnce, cost)
	}
	return nil
}

// holdReplay charges a request for a stored response, which is in memory until the caller
// has read it. Up to edge.SmallBody bytes are charged nothing.
func (a *api) holdReplay(r *http.Request, body, answer []byte) error {
	if len(answer) <= edge.SmallBody {
		return nil
	}
	return a.edge.Hold(r, edge.BodyCost*int64(len(body))+int64(len(answer)))
}

// maxObjects returns an upper bound of the number of objects in a list, of at most maxItems.
// The list is a member of an object.
func maxObjects(text []byte, maxItems int) int {
	return max(1, min(bytes.Count(text, []byte("{"))-1, maxItems))
}

// maxInstances returns an upper bound of the number of instances in a list that the fast
// path reads, of at most maxItems. Each instance is an object, and its features may be an
// object in it.
func maxInstances(text []byte, maxItems int) int {
	objects := bytes.Count(text, []byte("{")) - 1 - bytes.Count(text, []byte(`"features":`))
	return max(1, min(objects, maxItems))
}
