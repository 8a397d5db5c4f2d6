package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"gateway/api"
	"gateway/internal/predict"

	"github.com/go-json-experiment/json"
)

// ImportOptions are the options of Import. With the zero value all valid rows are imported,
// and of rows with the same id the last one counts.
type ImportOptions struct {
	Strict    bool              // stop at the first bad row
	UniqueIDs bool              // stop at the first id that an earlier row has
	Numbering predict.Numbering // of rows without an id; empty: predict.NumberReplace
}

// query returns the options as the query of a URL.
func (o ImportOptions) query() string {
	values := url.Values{}
	if o.Strict {
		values.Set("strict", "true")
	}
	if o.UniqueIDs {
		values.Set("unique_ids", "true")
	}
	if o.Numbering != "" {
		values.Set("numbering", string(o.Numbering))
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

// Import sends a table of customers in CSV or NDJSON. It calls badRow, which may be nil, for
// each row that was refused. With an error it also returns the counts so far, if the gateway
// reported them.
func (c *Client) Import(ctx context.Context, contentType string, rows io.Reader, opts ImportOptions, badRow func(predict.BadRow)) (predict.ImportReport, error) {
	var report *predict.ImportReport
	res, err := c.do(ctx, http.MethodPost, "/admin/customers"+opts.query(), contentType, rows)
	if err != nil {
		return predict.ImportReport{}, err
	}
	defer res.Body.Close()
	err = eachLine(res, func(text []byte) error {
		var line api.ImportLine
		if err := json.Unmarshal(text, &line); err != nil {
			return fmt.Errorf("decoding the gateway's answer: %w", err)
		}
		switch {
		case line.ImportReport != nil:
			report = line.ImportReport
		case badRow != nil:
			badRow(predict.BadRow{Line: line.Line, Errors: line.Errors, Omitted: line.Omitted})
		}
		if line.Error != nil {
			return line.Error
		}
		return nil
	})
	switch {
	case report == nil && err == nil:
		err = errors.New("the gateway's answer has no counts at its end")
		fallthrough
	case report == nil:
		report = &predict.ImportReport{}
	}
	return *report, err
}

// Export writes the response of a route that exports, such as /admin/customers?format=csv, to
// out. It returns an error if the response is incomplete.
func (c *Client) Export(ctx context.Context, path string, out io.Writer) error {
	res, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body := &readFault{r: res.Body}
	if _, err := io.Copy(out, body); err != nil {
		if body.err != nil {
			return fmt.Errorf("the gateway's answer breaks off: %w", err)
		}
		return err
	}
	if res.Trailer.Get(api.EndTrailer) != api.Complete {
		return errors.New("the gateway's answer breaks off")
	}
	return nil
}

// TrainingData is the newest training data: CSV with a header of the label and the encoded
// columns. Read returns io.EOF at the end of the whole data only.
type TrainingData struct {
	Renewal string // the id of the renewal that made it
	res     *http.Response
}

// TrainingData opens the newest training data, held-out rows too. A 404 means that there is
// none.
func (c *Client) TrainingData(ctx context.Context) (*TrainingData, error) {
	res, err := c.do(ctx, http.MethodGet, "/admin/training-data?holdout=true", "", nil) //nolint:bodyclose // TrainingData.Close closes it
	if err != nil {
		return nil, err
	}
	return &TrainingData{Renewal: res.Header.Get(api.RenewalHeader), res: res}, nil
}

// TrainingDataRenewal returns the id of the renewal that made the newest training data. A
// 404 means that there is none.
func (c *Client) TrainingDataRenewal(ctx context.Context) (string, error) {
	res, err := c.do(ctx, http.MethodHead, "/admin/training-data?holdout=true", "", nil)
	if err != nil {
		return "", err
	}
	return res.Header.Get(api.RenewalHeader), res.Body.Close()
}

// Read implements io.Reader.
func (d *TrainingData) Read(p []byte) (int, error) {
	n, err := d.res.Body.Read(p)
	switch {
	case err == io.EOF && d.res.Trailer.Get(api.EndTrailer) != api.Complete:
		return n, errors.New("the gateway's answer breaks off")
	case err == nil || err == io.EOF:
		return n, err
	}
	return n, fmt.Errorf("the gateway's answer breaks off: %w", err)
}

// Close implements io.Closer.
func (d *TrainingData) Close() error { return d.res.Body.Close() }

// readFault is a reader that keeps the error of the reader below it.
type readFault struct {
	r   io.Reader
	err error
}

func (f *readFault) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}
