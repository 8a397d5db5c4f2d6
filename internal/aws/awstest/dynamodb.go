package awstest

import (
	"net/http"
	"time"
)

var database map[string]operation

type tables struct{}

func newTables() *tables { return &tables{} }

type tableExport struct{}

func (s *Server) dueExports(time.Time) []*tableExport { return nil }
func (s *Server) finishExport(*tableExport)           {}

func (s *Server) control(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
