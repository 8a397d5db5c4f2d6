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

	"gateway/api/edge"
	"gateway/internal/modelswap"

	"github.com/go-json-experiment/json"
)

// maxSilence is how long a stream of events may send nothing until its connection counts as
// broken: the time of three comments that the gateway sends while nothing changes.
const maxSilence = 3 * edge.EventBeat

var (
	errSilence  = fmt.Errorf("the gateway has sent nothing for %s", maxSilence)
	errBreakOff = errors.New("the gateway's events break off before the renewal has ended")
)

// Events yields a renewal at once and after each change, until it has ended. If the sequence
// yields an error, that is the last element. The renewal may go on then, and the caller may
// call Events again.
func (c *Client) Events(ctx context.Context, id string) iter.Seq2[*modelswap.Renewal, error] {
	return func(yield func(*modelswap.Renewal, error) bool) {
		if err := c.events(ctx, id, func(r *modelswap.Renewal) bool { return yield(r, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// events calls each for every event, until each returns false or the renewal has ended.
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
			return fmt.Errorf("decoding the gateway's answer: %w", err)
		}
		data = nil
		silence.Stop() // the time that the caller takes does not count
		if !each(r) || r.Status.Final() {
			return nil
		}
		silence.Reset(maxSilence)
	}
}

// silent returns errSilence if that is why a call was cancelled, else err.
func silent(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilence) {
		return errSilence
	}
	return err
}
