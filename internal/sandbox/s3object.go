package sandbox

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// keptHeaders are the headers of a PutObject that a GetObject returns.
var keptHeaders = []string{"Content-Type", "Content-Disposition", "Content-Language", "Cache-Control", "Expires",
	"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Storage-Class"}

// objectHeader returns the headers of a request that belong to the object.
func objectHeader(r http.Header) http.Header {
	out := http.Header{}
	for _, name := range keptHeaders {
		if v := r.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	// aws-chunked is an encoding of the upload and not of the object.
	var codings []string
	for coding := range strings.SplitSeq(r.Get("Content-Encoding"), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && coding != "aws-chunked" {
			codings = append(codings, coding)
		}
	}
	if len(codings) > 0 {
		out.Set("Content-Encoding", strings.Join(codings, ","))
	}
	for name, values := range r {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			out[name] = slices.Clone(values)
		}
	}
	if out.Get("Content-Type") == "" {
		out.Set("Content-Type", "binary/octet-stream")
	}
	return out
}

func newObject(body []byte, header http.Header) *object {
	sum := md5.Sum(body)
	return &object{body: body, etag: hex.EncodeToString(sum[:]), modified: time.Now().UTC().Truncate(time.Second), header: header}
}

// condition evaluates If-Match and If-None-Match of a write.
func (c *s3Call) condition() error {
	old := c.bucket.objects[c.key]
	if c.header.Get("If-None-Match") == "*" && old != nil {
		return s3Errorf(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	if tag := c.header.Get("If-Match"); tag != "" {
		if old == nil {
			return s3Errorf(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		}
		if tag != "*" && quoted(tag) != quoted(old.etag) {
			return s3Errorf(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
		}
	}
	return nil
}

func (c *s3Call) put() (*answer, error) {
	body, sums, err := payload(c.header, c.body)
	if err != nil {
		return nil, err
	}
	if err := c.condition(); err != nil {
		return nil, err
	}
	header := objectHeader(c.header)
	maps.Copy(header, sums)
	o := newObject(body, header)
	c.bucket.objects[c.key] = o
	a := newAnswer(http.StatusOK, "", nil)
	a.header.Set("Etag", quoted(o.etag))
	maps.Copy(a.header, sums)
	return a, nil
}

// get answers GetObject and HeadObject with ranges and conditions.
func (c *s3Call) get() (*answer, error) {
	o := c.bucket.objects[c.key]
	if o == nil {
		return nil, s3Errorf(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}
	w := &buffered{header: http.Header{}}
	for name, values := range o.header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") && (c.header.Get("X-Amz-Checksum-Mode") != "ENABLED" || c.header.Get("Range") != "") {
			continue
		}
		w.header[name] = values
	}
	w.header.Set("Etag", quoted(o.etag))
	r := c.request.Clone(c.request.Context())
	r.Method = http.MethodGet // the body is dropped below for a HEAD
	http.ServeContent(w, r, "", o.modified, bytes.NewReader(o.body))
	switch w.status {
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, s3Errorf(w.status, "InvalidRange", "The requested range is not satisfiable")
	case http.StatusPreconditionFailed:
		return nil, s3Errorf(w.status, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	a := w.answer()
	if w.status == http.StatusOK && c.header.Get("Range") == "" {
		a.body = o.body
	}
	if c.request.Method == http.MethodHead {
		a.body = nil
	}
	return a, nil
}

// source returns the source of a copy.
func (c *s3Call) source() (*object, error) {
	text, err := url.PathUnescape(c.header.Get("X-Amz-Copy-Source"))
	if err != nil {
		return nil, s3Errorf(http.StatusBadRequest, "InvalidArgument", "Invalid copy source encoding.")
	}
	name, key, _ := strings.Cut(strings.TrimPrefix(text, "/"), "/")
	b := c.store.buckets[name]
	if b == nil {
		return nil, s3Errorf(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	}
	o := b.objects[key]
	if o == nil {
		return nil, s3Errorf(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}
	return o, nil
}

func (c *s3Call) copyObject() (*answer, error) {
	o, err := c.source()
	if err != nil {
		return nil, err
	}
	replaces := strings.EqualFold(c.header.Get("X-Amz-Metadata-Directive"), "REPLACE")
	header := o.header.Clone()
	if replaces {
		header = objectHeader(c.header)
	}
	n := newObject(o.body, header)
	c.bucket.objects[c.key] = n
	return xmlAnswer(struct {
		XMLName            xml.Name `xml:"CopyObjectResult"`
		ETag, LastModified string
	}{ETag: quoted(n.etag), LastModified: s3Time(n.modified)}), nil
}

func (c *s3Call) deleteObject() (*answer, error) {
	delete(c.bucket.objects, c.key)
	return newAnswer(http.StatusNoContent, "", nil), nil
}

func (c *s3Call) deleteObjects() (*answer, error) {
	body, _, err := payload(c.header, c.body)
	if err != nil {
		return nil, err
	}
	var in struct {
		Quiet  bool
		Object []struct{ Key string }
	}
	if err := xml.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if len(in.Object) > 1000 {
		return nil, s3Errorf(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	type deleted struct{ Key string }
	var out struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Deleted []deleted
	}
	for _, o := range in.Object {
		delete(c.bucket.objects, o.Key)
		if !in.Quiet {
			out.Deleted = append(out.Deleted, deleted{o.Key})
		}
	}
	return xmlAnswer(out), nil
}

// contentMD5 returns an error unless the body has the Content-MD5 of the request.
func contentMD5(header http.Header, body []byte) error {
	want := header.Get("Content-Md5")
	if want == "" {
		return nil
	}
	if sum := md5.Sum(body); want != base64.StdEncoding.EncodeToString(sum[:]) {
		return s3Errorf(http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	return nil
}
