package sandbox

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

type listed struct {
	Key, LastModified, ETag string
	Size                    int
	StorageClass            string
}

type commonPrefix struct{ Prefix string }

// list answers both versions of ListObjects.
func (c *s3Call) list() (*answer, error) {
	q := c.request.URL.Query()
	most := 1000
	if text := q.Get("max-keys"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, s3Errorf(http.StatusBadRequest, "InvalidArgument", "Argument max-keys must be an integer between 0 and 2147483647")
		}
		most = min(n, 1000)
	}
	second := q.Get("list-type") == "2"
	after := q.Get("marker")
	if second {
		after = q.Get("start-after")
		if token := q.Get("continuation-token"); token != "" {
			key, err := base64.URLEncoding.DecodeString(token)
			if err != nil {
				return nil, s3Errorf(http.StatusBadRequest, "InvalidArgument", "The continuation token provided is incorrect")
			}
			after = string(key)
		}
	}
	encode := func(s string) string { return s }
	if q.Get("encoding-type") == "url" {
		encode = func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
	}
	type result struct {
		XMLName                                       xml.Name `xml:"ListBucketResult"`
		Name, Prefix, Delimiter, EncodingType, Marker string   `xml:",omitempty"`
		MaxKeys                                       int
		IsTruncated                                   bool
		KeyCount                                      int `xml:",omitempty"`
		Contents                                      []listed
		CommonPrefixes                                []commonPrefix
		NextContinuationToken, NextMarker             string `xml:",omitempty"`
	}
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	out := result{Name: c.name, Prefix: encode(prefix), Delimiter: encode(delimiter), EncodingType: q.Get("encoding-type"), MaxKeys: most}
	last, folder := "", ""
	for _, key := range sortedKeys(c.bucket.objects) {
		if !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		group := ""
		if delimiter != "" {
			if i := strings.Index(key[len(prefix):], delimiter); i >= 0 {
				group = key[:len(prefix)+i+len(delimiter)]
				if group == folder || strings.HasPrefix(after, group) {
					last, folder = key, group
					continue
				}
			}
		}
		if len(out.Contents)+len(out.CommonPrefixes) == most {
			out.IsTruncated = true
			break
		}
		last, folder = key, group
		if group != "" {
			out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{encode(group)})
			continue
		}
		o := c.bucket.objects[key]
		out.Contents = append(out.Contents, listed{encode(key), s3Time(o.modified), quoted(o.etag), len(o.body), "STANDARD"})
	}
	if second {
		out.KeyCount = len(out.Contents) + len(out.CommonPrefixes)
	}
	switch {
	case out.IsTruncated && second:
		out.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
	case out.IsTruncated:
		out.NextMarker = encode(last)
	}
	return xmlAnswer(out), nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
