// Package artifact reads and writes the model files of SageMaker's built-in
// algorithms: model.tar.gz with xgboost-model or with linear-learner's
// model_algo-1.
//
// A file is checked while it is read; one that cannot be read as a model of the
// columns is an error that matches ErrFormat. Sizes are bounded by the caller's
// limit, also of what is compressed. It knows no S3 and no schema.
package artifact

import (
	"errors"
	"fmt"
)

// ErrFormat matches the error of a file that is not a model which this package reads.
var ErrFormat = errors.New("the artifact cannot be read")

func formatf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}
