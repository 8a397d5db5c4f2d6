package console

import (
	"net/http"

	"gateway/internal/audit"
)

// pageSize is the number of rows of a list on one page.
const pageSize = 50

// auditPage is what the page of the audit log shows.
type auditPage struct {
	Acts []audit.Entry
	Next string // id after which the next page begins; empty: there is none
}

func (c *Console) audit(r *http.Request) (*page, error) {
	acts, err := c.d.Acts.Acts(r.Context(), pageSize+1, r.URL.Query().Get("before"))
	if err != nil {
		return nil, err
	}
	data := auditPage{Acts: acts}
	if len(acts) > pageSize {
		data.Acts = acts[:pageSize]
		data.Next = data.Acts[pageSize-1].ID
	}
	return &page{name: "audit", title: "Audit", data: data}, nil
}
