package api

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/modelswap"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
)

// RetrainRequest is the body of POST /admin/retrain. All members are optional.
type RetrainRequest struct {
	Reason    string              `json:"reason,omitzero"`
	Overrides modelswap.Overrides `json:"overrides,omitzero"`
	Force     bool                `json:"force,omitzero"`
}

// RenewalList is the body of GET /admin/renewals, newest first.
type RenewalList struct {
	Renewals []*modelswap.Renewal `json:"renewals"`
}

// ModelList is the body of GET /admin/models, newest first.
type ModelList struct {
	Models []modelswap.Model `json:"models"`
}

// RenewalInFull is the body of GET /admin/renewals/{id}.
type RenewalInFull struct {
	*modelswap.Renewal
	// Attempts has every attempt of every step, oldest first. Steps has the
	// latest of each.
	Attempts []modelswap.Step `json:"attempts"`
}

// Bounds of a page of a list.
const (
	pageDefault = 20
	pageMax     = 100
)

// page returns the parameters of a list: at most limit elements that are older than the
// element with the id before; empty: the newest.
func page(r *http.Request) (limit int, before string, err error) {
	if limit, err = queryInt(r, "limit", pageDefault, 1, pageMax); err != nil {
		return 0, "", err
	}
	before, _, err = queryText(r, "before")
	return limit, before, err
}

// renewalID returns the id in the path.
func renewalID(r *http.Request) string { return pathText(r, "id") }

// pathText returns a parameter of the path. For text that databases do not store it
// returns "", which is the id or name of nothing.
func pathText(r *http.Request, name string) string {
	text := chi.URLParam(r, name)
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return ""
	}
	return text
}

func (a *api) retrain(w http.ResponseWriter, r *http.Request) error {
	doc, empty, err := a.readJSON(w, r, true)
	if err != nil {
		return err
	}
	defer a.documents.release(doc)
	var req modelswap.TriggerRequest
	if !empty {
		if req, err = a.retrainRequest(doc); err != nil {
			return err
		}
	}
	req.Trigger, req.ID = modelswap.TriggerManual, edge.Of(r.Context()).Subject
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	renewal, err := a.d.Renewals.Trigger(ctx, req)
	if err != nil {
		return err
	}
	edge.Of(r.Context()).Target = renewal.ID
	w.Header().Set("Location", "/admin/renewals/"+renewal.ID)
	return edge.WriteJSON(w, http.StatusAccepted, renewal)
}

func (a *api) retrainRequest(doc *document) (req modelswap.TriggerRequest, err error) {
	err = doc.object("body", func(name string) (err error) {
		switch name {
		case "reason":
			req.Reason, err = doc.str(name)
		case "force":
			req.Force, err = doc.boolean(name)
		case "overrides":
			req.Overrides, err = doc.overrides("/overrides")
		default:
			err = doc.unknown(pointer("", name), "reason", "overrides", "force")
		}
		return err
	})
	return req, doc.finish(err)
}

// finish ends reading a document that returned err. It returns err, or an error with all
// violations.
func (d *document) finish(err error) error {
	if err == nil {
		err = d.end()
	}
	if violations := d.take(); err == nil && violations.Count() > 0 {
		err = &failure.Error{Kind: failure.Invalid, Detail: "the request has unknown or wrong members",
			Violations: violations.Listed, Omitted: violations.Omitted}
	}
	return err
}

func (d *document) overrides(at string) (o modelswap.Overrides, err error) {
	err = d.object(at, func(name string) (err error) {
		switch at := pointer(at, name); name {
		case "hyperparameters":
			o.Hyperparameters, err = d.hyperparameters(at)
		case "training":
			o.Training, err = d.training(at)
		case "gate":
			o.Gate, err = d.str(at)
		case "judge_by":
			o.JudgeBy, err = d.str(at)
		default:
			err = d.unknown(at, "hyperparameters", "training", "gate", "judge_by")
		}
		return err
	})
	return o, err
}

func (d *document) training(at string) (t modelswap.Training, err error) {
	err = d.object(at, func(name string) (err error) {
		switch at := pointer(at, name); name {
		case "algorithm":
			t.Algorithm, err = d.str(at)
		case "instance_type":
			t.InstanceType, err = d.str(at)
		case "instance_count":
			t.InstanceCount, err = d.count(at)
		case "max_runtime":
			t.MaxRuntime, err = d.str(at)
		default:
			err = d.unknown(at, "algorithm", "instance_type", "instance_count", "max_runtime")
		}
		return err
	})
	return t, err
}

// hyperparameters reads strings, numbers and booleans as text. A number keeps its digits.
func (d *document) hyperparameters(at string) (modelswap.Hyperparameters, error) {
	h := make(modelswap.Hyperparameters)
	err := d.object(at, func(name string) error {
		switch d.dec.PeekKind() {
		case '"', '0', 't', 'f':
			token, err := d.dec.ReadToken()
			if err != nil {
				return d.broken(err)
			}
			text := token.String()
			if strings.IndexByte(name+text, 0) >= 0 {
				d.violate(pointer(at, name), failure.CodeFormat, noZero)
			}
			h[name] = text
			return nil
		}
		return d.wrong(pointer(at, name), "a string, a number or a boolean")
	})
	return h, err
}

func (a *api) renewals(w http.ResponseWriter, r *http.Request) error {
	limit, before, err := page(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	list, err := a.d.Renewals.Renewals(ctx, limit, before)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, RenewalList{list})
}

func (a *api) renewal(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	id := renewalID(r)
	renewal, err := a.d.Renewals.Renewal(ctx, id)
	if err != nil {
		return err
	}
	attempts, err := a.d.Renewals.Attempts(ctx, id)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, RenewalInFull{renewal, attempts})
}

func (a *api) models(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	list, err := a.d.Renewals.Models(ctx)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, ModelList{list})
}

func (a *api) model(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	report, err := a.d.Renewals.ModelReport(ctx, pathText(r, "name"))
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, report, json.FormatNilSliceAsNull(true)) // null is unknown, [] is none
}
