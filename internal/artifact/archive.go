package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"strconv"

	"gateway/internal/learn"
)

// Names of the files in a model.tar.gz.
const (
	xgboostFile = "xgboost-model"
	linearFile  = "model_algo-1"
)

// Read reads the model in a model.tar.gz. columns are the names of the model's
// columns; nil takes as many as it has, and names them f0, f1 and so on. means, by
// column, are the background of a linear model's contributions, which its file does not
// have; nil takes zeros. Of the uncompressed archive at most limit bytes are read.
func Read(r io.Reader, columns []string, means []float64, limit int64) (*learn.Model, error) {
	text, err := gzip.NewReader(r)
	if err != nil {
		return nil, formatf("it is not compressed with gzip: %w", err)
	}
	bounded := &io.LimitedReader{R: text, N: limit}
	files := tar.NewReader(bounded)
	for {
		file, err := files.Next()
		if err != nil {
			return nil, unread(bounded, limit, err)
		}
		name := path.Base(file.Name)
		if name != xgboostFile && name != linearFile {
			continue
		}
		body, err := io.ReadAll(files)
		if err != nil {
			return nil, unread(bounded, limit, err)
		}
		if name == xgboostFile {
			return ReadXGBoost(body, columns)
		}
		return ReadLinear(body, columns, means, limit)
	}
}

// unread is the error of an archive that ends before the model does.
func unread(bounded *io.LimitedReader, limit int64, err error) error {
	switch {
	case bounded.N <= 0:
		return formatf("it is larger than %d bytes", limit)
	case errors.Is(err, io.EOF):
		return formatf("the archive has neither %s nor %s", xgboostFile, linearFile)
	}
	return formatf("the archive is damaged: %w", err)
}

// named returns columns, or names for a number of columns if they are nil.
func named(columns []string, count int) []string {
	if columns != nil {
		return columns
	}
	columns = make([]string, max(0, min(count, maxColumns)))
	for j := range columns {
		columns[j] = "f" + strconv.Itoa(j)
	}
	return columns
}

// maxColumns bounds what named makes.
const maxColumns = 1 << 20

// Write returns a model.tar.gz with a linear or boosted model, as the built-in
// algorithm of its kind writes it.
func Write(m *learn.Model, format XGBoostFormat) ([]byte, error) {
	name, body, err := linearFile, []byte(nil), error(nil)
	if m.Algorithm() == learn.XGBoost {
		name = xgboostFile
		body, err = WriteXGBoost(m, format)
	} else {
		body, err = WriteLinear(m)
	}
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	err = archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body))})
	if err == nil {
		_, err = archive.Write(body)
	}
	err = errors.Join(err, archive.Close(), zip.Close())
	return packed.Bytes(), err
}
