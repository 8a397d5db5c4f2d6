// Package console serves the operators' console: pages rendered on the server, on the same
// functions as the API below /admin.
//
// An operator signs in with an admin token. The session is a cookie that every replica can
// check, because it is signed with the token; it ends when the token does. All pages but the
// form for signing in require a session.
//
// # Pages
//
// A page is a method that reads what it shows and returns a *page: the name of its template,
// the title, and the data. It is registered in Routes, and its template is the file of the
// same name in templates, which defines "main" for the layout.
//
//	func (c *Console) audit(r *http.Request) (*page, error) {
//		acts, err := c.d.Acts.Acts(r.Context(), 50, r.URL.Query().Get("before"))
//		if err != nil {
//			return nil, err
//		}
//		return &page{name: "audit", title: "Audit", data: acts}, nil
//	}
//
// An error becomes a page with the status and detail that the API would answer. The state of
// a view, such as a time range, is in the query of its URL. Links are relative, by the
// template's .Root, so that the console works behind a path of a proxy.
//
// A chart is drawn by package chart; the template "chart" shows it with its table:
//
//	data.AUC = draw("auc", chart.Line{…})       // in the page
//	{{template "chart" .AUC}}                   // in its template
//
// # Actions
//
// What changes something is an action: a POST that shows a page which asks once more, and
// that is done when its form comes back confirmed. It is then in the audit log under the name
// of the token.
//
// # Safety
//
// The content security policy allows files of the console alone: no inline script, no inline
// style, nothing from elsewhere. Templates therefore have no style attributes. Forms have a
// token of the session, and requests from other origins are refused. Reads share a small
// budget, so that the console cannot take the database from predictions.
package console
