package sandbox

import (
	"encoding/xml"
	"net/http"
	"strings"
	"sync"
	"time"
)

// objects are the buckets of S3, in memory.
type objects struct {
	mu      sync.Mutex
	buckets map[string]*bucket
	uploads map[string]*upload
}

type bucket struct {
	created time.Time
	objects map[string]*object
}

// object is an object in a bucket. It never changes.
type object struct {
	body     []byte
	etag     string // without quotes
	modified time.Time
	header   http.Header // content headers, metadata and checksums
}

func newObjects() *objects {
	return &objects{buckets: make(map[string]*bucket), uploads: make(map[string]*upload)}
}

func newBucket() *bucket { return &bucket{created: time.Now(), objects: make(map[string]*object)} }

// s3Operation returns the operation of a request of the REST protocol.
func s3Operation(r *http.Request, bucket, key string) string {
	q := r.URL.Query()
	switch {
	case bucket == "":
		return "ListBuckets"
	case key == "":
		switch {
		case r.Method == http.MethodPut:
			return "CreateBucket"
		case r.Method == http.MethodHead:
			return "HeadBucket"
		case r.Method == http.MethodDelete:
			return "DeleteBucket"
		case r.Method == http.MethodPost && q.Has("delete"):
			return "DeleteObjects"
		case q.Has("location"):
			return "GetBucketLocation"
		case q.Has("uploads"):
			return "ListMultipartUploads"
		case q.Get("list-type") == "2":
			return "ListObjectsV2"
		}
		return "ListObjects"
	}
	copied := r.Header.Get("X-Amz-Copy-Source") != ""
	switch r.Method {
	case http.MethodHead:
		return "HeadObject"
	case http.MethodGet:
		if q.Has("uploadId") {
			return "ListParts"
		}
		return "GetObject"
	case http.MethodDelete:
		if q.Has("uploadId") {
			return "AbortMultipartUpload"
		}
		return "DeleteObject"
	case http.MethodPost:
		if q.Has("uploads") {
			return "CreateMultipartUpload"
		}
		return "CompleteMultipartUpload"
	}
	switch {
	case q.Has("partNumber") && copied:
		return "UploadPartCopy"
	case q.Has("partNumber"):
		return "UploadPart"
	case copied:
		return "CopyObject"
	}
	return "PutObject"
}

// s3Call is a call of S3 whose bucket exists.
type s3Call struct {
	*call
	store  *objects
	bucket *bucket
	name   string // of the bucket
	key    string
	body   []byte // of the request, not decoded
}

var s3Operations = map[string]func(*s3Call) (*answer, error){
	"CreateBucket":            (*s3Call).createBucket,
	"DeleteBucket":            (*s3Call).deleteBucket,
	"HeadBucket":              (*s3Call).headBucket,
	"ListBuckets":             (*s3Call).listBuckets,
	"GetBucketLocation":       (*s3Call).location,
	"ListObjectsV2":           (*s3Call).list,
	"ListObjects":             (*s3Call).list,
	"PutObject":               (*s3Call).put,
	"GetObject":               (*s3Call).get,
	"HeadObject":              (*s3Call).get,
	"CopyObject":              (*s3Call).copyObject,
	"DeleteObject":            (*s3Call).deleteObject,
	"DeleteObjects":           (*s3Call).deleteObjects,
	"CreateMultipartUpload":   (*s3Call).createUpload,
	"UploadPart":              (*s3Call).uploadPart,
	"UploadPartCopy":          (*s3Call).uploadPartCopy,
	"CompleteMultipartUpload": (*s3Call).completeUpload,
	"AbortMultipartUpload":    (*s3Call).abortUpload,
	"ListParts":               (*s3Call).listParts,
	"ListMultipartUploads":    (*s3Call).listUploads,
}

func (s *Server) serveS3(c *call, body []byte) *answer {
	name, key := bucketAndKey(c.request)
	s3c := &s3Call{call: c, store: s.objects, name: name, key: key, body: body}
	s.objects.mu.Lock()
	defer s.objects.mu.Unlock()
	s3c.bucket = s.objects.buckets[name]
	if s3c.bucket == nil && c.Operation != "CreateBucket" && c.Operation != "ListBuckets" {
		return s3Error(c, s3Errorf(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"))
	}
	do := s3Operations[c.Operation]
	a, err := do(s3c)
	if err != nil {
		e, ok := err.(*Error) //nolint:errorlint // the operations return it bare
		if !ok {
			e = s3Errorf(http.StatusBadRequest, "MalformedXML", err.Error())
		}
		return s3Error(c, e)
	}
	return a
}

func s3Errorf(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

func s3Error(c *call, e *Error) *answer {
	if c.request.Method == http.MethodHead {
		return newAnswer(e.Status, "application/xml", nil) // like S3: the answer to a HEAD has no body and so no code
	}
	return newAnswer(e.Status, "application/xml", marshalXML(struct {
		XMLName                 xml.Name `xml:"Error"`
		Code, Message, Resource string   `xml:",omitempty"`
	}{Code: e.Code, Message: e.Message, Resource: c.request.URL.Path}))
}

func marshalXML(v any) []byte {
	text, err := xml.Marshal(v)
	if err != nil {
		panic(err) // answers are types of this package, which can be encoded
	}
	return append([]byte(xml.Header), text...)
}

func xmlAnswer(v any) *answer { return newAnswer(http.StatusOK, "application/xml", marshalXML(v)) }

func (c *s3Call) createBucket() (*answer, error) {
	if c.bucket != nil {
		return nil, s3Errorf(http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
	}
	c.store.buckets[c.name] = newBucket()
	a := newAnswer(http.StatusOK, "", nil)
	a.header.Set("Location", "/"+c.name)
	return a, nil
}

func (c *s3Call) deleteBucket() (*answer, error) {
	if len(c.bucket.objects) > 0 {
		return nil, s3Errorf(http.StatusConflict, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	}
	delete(c.store.buckets, c.name)
	return newAnswer(http.StatusNoContent, "", nil), nil
}

func (c *s3Call) headBucket() (*answer, error) {
	a := newAnswer(http.StatusOK, "application/xml", nil)
	a.header.Set("X-Amz-Bucket-Region", Region)
	return a, nil
}

func (c *s3Call) location() (*answer, error) {
	return xmlAnswer(struct {
		XMLName  xml.Name `xml:"LocationConstraint"`
		Location string   `xml:",chardata"`
	}{Location: Region}), nil
}

func (c *s3Call) listBuckets() (*answer, error) {
	type one struct{ Name, CreationDate string }
	var out struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		Buckets []one    `xml:"Buckets>Bucket"`
	}
	for _, name := range sortedKeys(c.store.buckets) {
		out.Buckets = append(out.Buckets, one{name, s3Time(c.store.buckets[name].created)})
	}
	return xmlAnswer(out), nil
}

func s3Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func quoted(etag string) string { return `"` + strings.Trim(etag, `"`) + `"` }
