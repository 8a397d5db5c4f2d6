package api

import (
	"context"
	"errors"
	"net/http"

	"gateway/api/edge"
	"gateway/internal/modelswap"
)

// ResumeRequest is the body of POST /admin/renewals/{id}/resume. All members are optional.
type ResumeRequest struct {
	// From is the step to resume from. Empty: the step at which the renewal stopped.
	From modelswap.StepName `json:"from,omitzero"`
	// Overrides replace those of the renewal, member by member.
	Overrides modelswap.Overrides `json:"overrides,omitzero"`
}

// RollbackRequest is the body of POST /admin/rollback, which is optional.
type RollbackRequest struct {
	// Model is the model to serve. Empty: the model that served before the current one.
	Model string `json:"model,omitzero"`
}

func (a *api) resume(w http.ResponseWriter, r *http.Request) error {
	doc, empty, err := a.readJSON(w, r, true)
	if err != nil {
		return err
	}
	defer a.documents.release(doc)
	var req modelswap.ResumeRequest
	if !empty {
		if req, err = doc.resumeRequest(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	renewal, err := a.d.Renewals.Resume(ctx, renewalID(r), req)
	if errors.Is(err, modelswap.ErrStale) {
		return &edge.Refusal{Reason: edge.Conflict, Detail: "the renewal was changed at the same time", Err: err}
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/admin/renewals/"+renewal.ID)
	return edge.WriteJSON(w, http.StatusAccepted, renewal)
}

func (d *document) resumeRequest() (req modelswap.ResumeRequest, err error) {
	err = d.object("body", func(name string) (err error) {
		switch name {
		case "from":
			var from string
			from, err = d.name(name)
			req.From = modelswap.StepName(from)
		case "overrides":
			req.Overrides, err = d.overrides("/overrides")
		default:
			err = d.unknown(pointer("", name), "from", "overrides")
		}
		return err
	})
	return req, d.finish(err)
}

// cancel answers when the request is stored. The gateway that works on the renewal reads it
// within seconds.
func (a *api) cancel(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	renewal, err := a.d.Renewals.Cancel(ctx, renewalID(r))
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusAccepted, renewal)
}

func (a *api) rollback(w http.ResponseWriter, r *http.Request) error {
	doc, empty, err := a.readJSON(w, r, true)
	if err != nil {
		return err
	}
	defer a.documents.release(doc)
	var req RollbackRequest
	if !empty {
		if req, err = doc.rollbackRequest(); err != nil {
			return err
		}
	}
	// The rollback goes on if the caller leaves. Otherwise a model could serve without a
	// record of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
	defer cancel()
	model, err := a.d.Renewals.Rollback(ctx, req.Model)
	if err != nil {
		return err
	}
	edge.Of(r.Context()).Target = model.Name
	return edge.WriteJSON(w, http.StatusOK, model)
}

func (d *document) rollbackRequest() (req RollbackRequest, err error) {
	err = d.object("body", func(name string) (err error) {
		switch name {
		case "model":
			req.Model, err = d.name(name)
		default:
			err = d.unknown(pointer("", name), "model")
		}
		return err
	})
	return req, d.finish(err)
}
