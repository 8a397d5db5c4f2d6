package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"gateway/api"
	"gateway/internal/modelswap"

	"github.com/go-json-experiment/json"
)

// maxSilence is how long a stream of events may be silent before it counts as
// dead: three beats.
const maxSilence = 3 * api.EventBeat

var (
	errSilence  = fmt.Errorf("the gateway has been silent for %s", maxSilence)
	errBreakOff = errors.New("the gateway's events break off before the renewal has ended")
)

// Events yields a renewal at once and after each change, until it has ended.
// An error of the sequence is the last thing it yields: the renewal may go on,
// and the caller may ask again.
func (c *Client) Events(ctx context.Context, id string) iter.Seq2[*modelswap.Renewal, error] {
	return func(yield func(*modelswap.Renewal, error) bool) {
		if err := c.events(ctx, id, func(r *modelswap.Renewal) bool { return yield(r, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// events calls each for every event, until it returns false or the renewal has ended.
func (c *Client) events(ctx context.Context, id string, each func(*modelswap.Renewal) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(maxSilence, func() { cancel(errSilence) })
	defer silence.Stop()
	res, err := c.do(ctx, http.MethodGet, "/admin/renewals/"+url.PathEscape(id)+"/events", "", nil)
	if err != nil {
		return silent(ctx, err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	var data []byte
	for {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			return errBreakOff
		case err != nil:
			return silent(ctx, fmt.Errorf("%w: %w", errBreakOff, err))
		}
		silence.Reset(maxSilence)
		line = bytes.TrimRight(line, "\r\n")
		if text, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, text...)
		}
		if len(line) > 0 || data == nil {
			continue // an event ends with an empty line
		}
		r := new(modelswap.Renewal)
		if err := json.Unmarshal(data, r); err != nil {
			return fmt.Errorf("the gateway's answer: %w", err)
		}
		data = nil
		silence.Stop() // however long the caller takes
		if !each(r) || r.Status.Final() {
			return nil
		}
		silence.Reset(maxSilence)
	}
}

// silent names the silence where that is why a call was cancelled.
func silent(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilence) {
		return errSilence
	}
	return err
}
