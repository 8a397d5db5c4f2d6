package sandbox

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// upload is a multi-part upload under way.
type upload struct {
	bucket, key string
	begun       time.Time
	header      http.Header
	parts       map[int]*object
}

// minPart is the minimum size of all parts but the last, in bytes.
const minPart = 5 << 20

func (c *s3Call) createUpload() (*answer, error) {
	id := uuid.NewString()
	c.store.uploads[id] = &upload{bucket: c.name, key: c.key, begun: time.Now(), header: objectHeader(c.header), parts: make(map[int]*object)}
	return xmlAnswer(struct {
		XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket, Key, UploadId string
	}{Bucket: c.name, Key: c.key, UploadId: id}), nil
}

func (c *s3Call) upload() (string, *upload, error) {
	id := c.request.URL.Query().Get("uploadId")
	u := c.store.uploads[id]
	if u == nil || u.bucket != c.name || u.key != c.key {
		return "", nil, s3Errorf(http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	}
	return id, u, nil
}

func (c *s3Call) partNumber() (int, error) {
	n, err := strconv.Atoi(c.request.URL.Query().Get("partNumber"))
	if err != nil || n < 1 || n > 10_000 {
		return 0, s3Errorf(http.StatusBadRequest, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
	}
	return n, nil
}

func (c *s3Call) uploadPart() (*answer, error) {
	_, u, err := c.upload()
	if err != nil {
		return nil, err
	}
	n, err := c.partNumber()
	if err != nil {
		return nil, err
	}
	body, sums, err := payload(c.header, c.body)
	if err != nil {
		return nil, err
	}
	u.parts[n] = newObject(body, sums)
	a := newAnswer(http.StatusOK, "", nil)
	a.header.Set("Etag", quoted(u.parts[n].etag))
	for name := range sums {
		a.header.Set(name, sums.Get(name))
	}
	return a, nil
}

func (c *s3Call) uploadPartCopy() (*answer, error) {
	_, u, err := c.upload()
	if err != nil {
		return nil, err
	}
	n, err := c.partNumber()
	if err != nil {
		return nil, err
	}
	o, err := c.source()
	if err != nil {
		return nil, err
	}
	body := o.body
	if text := c.header.Get("X-Amz-Copy-Source-Range"); text != "" {
		var first, last int
		if _, err := fmt.Sscanf(text, "bytes=%d-%d", &first, &last); err != nil || first > last || last >= len(body) {
			return nil, s3Errorf(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
		}
		body = body[first : last+1]
	}
	u.parts[n] = newObject(body, http.Header{})
	return xmlAnswer(struct {
		XMLName            xml.Name `xml:"CopyPartResult"`
		ETag, LastModified string
	}{ETag: quoted(u.parts[n].etag), LastModified: s3Time(u.parts[n].modified)}), nil
}

func (c *s3Call) completeUpload() (*answer, error) {
	id, u, err := c.upload()
	if err != nil {
		return nil, err
	}
	var in struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if err := xml.Unmarshal(c.body, &in); err != nil {
		return nil, err
	}
	var whole, sums bytes.Buffer
	for i, p := range in.Part {
		if i > 0 && p.PartNumber <= in.Part[i-1].PartNumber {
			return nil, s3Errorf(http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
		}
	}
	for i, p := range in.Part {
		part := u.parts[p.PartNumber]
		switch {
		case part == nil || quoted(part.etag) != quoted(p.ETag):
			return nil, s3Errorf(http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		case i < len(in.Part)-1 && len(part.body) < minPart:
			return nil, s3Errorf(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		}
		whole.Write(part.body)
		sum, _ := hex.DecodeString(part.etag) // etag was encoded when the part was stored
		sums.Write(sum)
	}
	if len(in.Part) == 0 {
		return nil, s3Errorf(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	if err := c.condition(); err != nil {
		return nil, err
	}
	o := newObject(whole.Bytes(), u.header)
	sum := md5.Sum(sums.Bytes())
	o.etag = hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(in.Part))
	c.bucket.objects[c.key] = o
	delete(c.store.uploads, id)
	return xmlAnswer(struct {
		XMLName                     xml.Name `xml:"CompleteMultipartUploadResult"`
		Location, Bucket, Key, ETag string
	}{Location: "/" + c.name + "/" + c.key, Bucket: c.name, Key: c.key, ETag: quoted(o.etag)}), nil
}

func (c *s3Call) abortUpload() (*answer, error) {
	id, _, err := c.upload()
	if err != nil {
		return nil, err
	}
	delete(c.store.uploads, id)
	return newAnswer(http.StatusNoContent, "", nil), nil
}

func (c *s3Call) listParts() (*answer, error) {
	id, u, err := c.upload()
	if err != nil {
		return nil, err
	}
	type part struct {
		PartNumber         int
		LastModified, ETag string
		Size               int
	}
	var out struct {
		XMLName               xml.Name `xml:"ListPartsResult"`
		Bucket, Key, UploadId string
		IsTruncated           bool
		Part                  []part
	}
	out.Bucket, out.Key, out.UploadId = c.name, c.key, id
	for n := 1; len(out.Part) < len(u.parts); n++ {
		if p := u.parts[n]; p != nil {
			out.Part = append(out.Part, part{n, s3Time(p.modified), quoted(p.etag), len(p.body)})
		}
	}
	return xmlAnswer(out), nil
}

func (c *s3Call) listUploads() (*answer, error) {
	type one struct{ Key, UploadId, Initiated string }
	var out struct {
		XMLName     xml.Name `xml:"ListMultipartUploadsResult"`
		Bucket      string
		IsTruncated bool
		Upload      []one
	}
	out.Bucket = c.name
	prefix := c.request.URL.Query().Get("prefix")
	for _, id := range sortedKeys(c.store.uploads) {
		if u := c.store.uploads[id]; u.bucket == c.name && strings.HasPrefix(u.key, prefix) {
			out.Upload = append(out.Upload, one{u.key, id, s3Time(u.begun)})
		}
	}
	return xmlAnswer(out), nil
}
