package sandbox

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// checksums are the checksum algorithms of uploads, by header.
var checksums = map[string]func() hash.Hash{
	"X-Amz-Checksum-Crc32":  func() hash.Hash { return crc32.NewIEEE() },
	"X-Amz-Checksum-Crc32c": func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"X-Amz-Checksum-Sha1":   sha1.New,
	"X-Amz-Checksum-Sha256": sha256.New,
	// The polynomial of NVMe, reflected.
	"X-Amz-Checksum-Crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
}

// payload returns the object in the body of an upload. It decodes aws-chunked, whose trailer
// may have a checksum. It verifies checksums and returns them as headers.
func payload(header http.Header, body []byte) ([]byte, http.Header, error) {
	sums := http.Header{}
	for name := range checksums {
		if v := header.Get(name); v != "" {
			sums.Set(name, v)
		}
	}
	if strings.HasPrefix(header.Get("X-Amz-Content-Sha256"), "STREAMING-") || strings.Contains(header.Get("Content-Encoding"), "aws-chunked") {
		whole, trailer, err := unchunk(body)
		if err != nil {
			return nil, nil, s3Errorf(http.StatusBadRequest, "IncompleteBody", "The request body terminated unexpectedly: "+err.Error())
		}
		if n := header.Get("X-Amz-Decoded-Content-Length"); n != "" && n != strconv.Itoa(len(whole)) {
			return nil, nil, s3Errorf(http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
		}
		body = whole
		for name := range checksums {
			if v := trailer.Get(name); v != "" {
				sums.Set(name, v)
			}
		}
	}
	if err := contentMD5(header, body); err != nil {
		return nil, nil, err
	}
	for name := range sums {
		h := checksums[name]()
		_, _ = h.Write(body) // a hash does not fail
		if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != sums.Get(name) {
			return nil, nil, s3Errorf(http.StatusBadRequest, "BadDigest", "The "+strings.TrimPrefix(name, "X-Amz-Checksum-")+" you specified did not match the calculated checksum.")
		}
	}
	return body, sums, nil
}

// unchunk decodes aws-chunked: chunks as in HTTP, with an optional signature after each size,
// and then trailers.
func unchunk(body []byte) ([]byte, http.Header, error) {
	in := bufio.NewReader(bytes.NewReader(body))
	var out bytes.Buffer
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, nil, io.ErrUnexpectedEOF
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(&out, in, n); err != nil {
			return nil, nil, io.ErrUnexpectedEOF
		}
		if _, err := in.Discard(2); err != nil {
			return nil, nil, io.ErrUnexpectedEOF
		}
	}
	trailer, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil && len(trailer) == 0 && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	return out.Bytes(), http.Header(trailer), nil
}
