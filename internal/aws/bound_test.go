package aws

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"

	"gateway/internal/secrets"
	"gateway/internal/testsize"
)

// Beginnings of answers that end with an endless string.
const (
	jsonStart = `{"message": "`
	xmlStart  = `<ListBucketResult><Name>`
)

// startOf returns the beginning of the answer to a request.
func startOf(r *http.Request) string {
	if r.URL.Query().Has("list-type") {
		return xmlStart
	}
	return jsonStart
}

// bomb is a string of 512 MiB, compressed to half a megabyte. It is 512 copies of one gzip
// member, because readers of gzip concatenate members.
func bomb(start string) []byte {
	return append(pack([]byte(start)), bytes.Repeat(pack(bytes.Repeat([]byte("x"), 1<<20)), 512)...)
}

func pack(text []byte) []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(text)
	_ = w.Close()
	return packed.Bytes()
}

var packed = sync.OnceValue(func() map[string][]byte {
	return map[string][]byte{jsonStart: bomb(jsonStart), xmlStart: bomb(xmlStart)}
})

// bombs are answers far above the limit.
var bombs = map[string]http.HandlerFunc{
	"packed": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", typeJSON)
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed()[startOf(r)])
	},
	"packed, of an error": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", typeJSON)
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(packed()[jsonStart])
	},
	"chunks without end": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", typeJSON)
		_, _ = io.WriteString(w, startOf(r))
		for piece := bytes.Repeat([]byte("x"), 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	},
}

// TestNoAnswerIsReadWithoutABound reads such answers with each client.
func TestNoAnswerIsReadWithoutABound(t *testing.T) {
	calls := map[string]func(context.Context, *Clients) error{
		"endpoint by hand": func(ctx context.Context, c *Clients) error {
			_, err := c.runtime.invoke(ctx, oneRow())
			return err
		},
		"endpoint by the SDK": func(ctx context.Context, c *Clients) error {
			_, err := byTheSDK(c.runtime).invoke(ctx, oneRow())
			return err
		},
		"SageMaker": func(ctx context.Context, c *Clients) error {
			_, err := c.sagemaker.DescribeEndpoint(ctx, &sagemaker.DescribeEndpointInput{EndpointName: new(string)})
			return err
		},
		"DynamoDB": func(ctx context.Context, c *Clients) error {
			_, err := c.dynamodb.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: new(string)})
			return err
		},
		"a listing of S3": func(ctx context.Context, c *Clients) error {
			_, err := c.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: new("bank")})
			return err
		},
		"a small object of S3": func(ctx context.Context, c *Clients) error {
			files, err := NewFiles(c, bucket, "gateway", "", "")
			if err != nil {
				return err
			}
			_, err = readFile(files.FS(ctx), "probes/x.json", maxNote)
			return err
		},
	}
	// Decoding 32 MiB takes long under the race detector. In the short run one client has
	// the real limit, which all clients get in the same place.
	limits := testsize.Of(map[string]int64{"SageMaker": 2 << 20, "a listing of S3": 2 << 20}, nil)
	for what, call := range calls {
		for kind, handler := range bombs {
			if what == "a small object of S3" && kind == "packed" {
				continue // objects are not decompressed
			}
			t.Run(what+"/"+kind, func(t *testing.T) {
				cfg := configOver(t, handler, nil)
				if limit := limits[what]; limit > 0 {
					cfg.APIOptions = append(cfg.APIOptions, boundAnswers(limit))
				}
				c, err := NewClients(cfg)
				if err != nil {
					t.Fatal(err)
				}
				takesLittle(t, func() error { return call(t.Context(), c) })
			})
		}
	}
	for kind, handler := range bombs {
		t.Run("Secrets Manager/"+kind, func(t *testing.T) {
			source := NewSecrets(configOver(t, handler, nil))
			takesLittle(t, func() error { _, err := source.Get(t.Context(), "bank", secrets.Current); return err })
		})
	}
}

// takesLittle checks that a call returns an error and allocates little memory.
func takesLittle(t *testing.T, call func() error) {
	t.Helper()
	packed()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := call()
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("the answer is taken")
	}
	// Growing a buffer allocates about five times its size: 3 GB for 512 MiB.
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 400 {
		t.Errorf("%d MiB were allocated", took)
	}
}

func TestABoundIsTheNumberOfBytes(t *testing.T) {
	for _, size := range []int{0, 9, 10, 11, 4000} {
		text := strings.Repeat("x", size)
		got, err := io.ReadAll(bounded(io.NopCloser(strings.NewReader(text)), 10))
		if want := text[:min(size, 10)]; string(got) != want || errors.Is(err, errTooLarge) != (size > 10) {
			t.Errorf("of %d bytes %d were read: %v", size, len(got), err)
		}
		got, err = readFile(fstest.MapFS{"file": {Data: []byte(text)}}, "file", 10)
		if (err == nil) != (size <= 10) || err == nil && string(got) != text {
			t.Errorf("of a file of %d bytes %d were read: %v", size, len(got), err)
		}
	}
}
