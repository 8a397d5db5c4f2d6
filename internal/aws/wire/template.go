package wire

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Values are the parts that change from request to request, besides the body.
type Values struct {
	Time       time.Time
	Invocation string // Amz-Sdk-Invocation-Id
	Inference  string // X-Amzn-Sagemaker-Inference-Id
	Unsigned   []Field
}

// Field is a header field that is not in the template. It is sent and not signed.
type Field struct{ Name, Value string }

// slot is a placeholder in a template for a value.
type slot byte

const (
	none slot = iota
	length
	stamp // 20261126T213000Z
	day   // 20261126
	invocation
	inference
	signature
	unsigned
)

// slots are the header fields whose values change, by their canonical names.
var slots = map[string]slot{
	"Content-Length":                length,
	"X-Amz-Date":                    stamp,
	"Amz-Sdk-Invocation-Id":         invocation,
	"X-Amzn-Sagemaker-Inference-Id": inference,
}

// text is a fixed piece of a template and the slot after it.
type text struct {
	fixed string
	slot  slot
}

// RequestTemplate is a signed request of which only Values and the body change. It is
// safe for concurrent use.
type RequestTemplate struct {
	head      []text // request line and header, with the blank line
	canonical []text // the canonical request, up to the hash of the payload
	scope     string // /region/service/aws4_request
	secret    string
	keys      atomic.Pointer[keys]
}

const algorithm = "AWS4-HMAC-SHA256"

// timeFormat is the format of X-Amz-Date.
const timeFormat = "20060102T150405Z"

// NewTemplate makes a template of a request with this body that was signed with secret
// for the time in its header. It signs the request itself and compares the signatures,
// so that a request which it does not support is an error and not a wrong template.
func NewTemplate(signed *http.Request, body []byte, secret string) (*RequestTemplate, error) {
	credential, names, theirs, err := authorization(signed.Header.Get("Authorization"))
	if err != nil {
		return nil, err
	}
	id, scope, _ := strings.Cut(credential, "/")
	date, scope, found := strings.Cut(scope, "/")
	v, err := valuesOf(signed)
	if err != nil {
		return nil, err
	}
	switch {
	case !found || date != v.Time.Format(timeFormat[:len("20060102")]):
		return nil, fmt.Errorf("the credential scope %q does not begin with the date of the request", credential)
	case signed.Method != http.MethodPost || signed.URL.RawQuery != "" || len(signed.TransferEncoding) > 0 || len(signed.Trailer) > 0:
		return nil, fmt.Errorf("the request is not a POST without query, transfer encoding and trailer")
	case len(body) == 0 || signed.ContentLength != int64(len(body)):
		return nil, fmt.Errorf("the request has a body of %d bytes and a Content-Length of %d, want the same and more than 0", len(body), signed.ContentLength)
	}
	tmpl := &RequestTemplate{scope: "/" + scope, secret: secret}
	var canonical, head writer
	canonical.fix("POST\n" + canonicalPath(signed.URL) + "\n\n")
	// In the order in which net/http writes them.
	head.fix("POST " + signed.URL.RequestURI() + " HTTP/1.1\r\nHost: " + hostOf(signed) + "\r\n")
	headers := signed.Header.Clone()
	headers.Set("Content-Length", strconv.Itoa(len(body)))
	order := []string{"User-Agent", "Content-Length"}
	for _, name := range sortedKeys(headers) {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	for _, name := range order {
		values := headers[name]
		switch {
		case len(values) == 0:
			continue
		case len(values) > 1 || !sane(name) || !sane(values[0]):
			return nil, fmt.Errorf("the header field %s does not have one value of printable ASCII", name)
		}
		head.fix(name + ": ")
		switch {
		case name == "Authorization":
			head.fix(algorithm + " Credential=" + id + "/")
			head.leave(day)
			head.fix("/" + scope + ", SignedHeaders=" + names + ", Signature=")
			head.leave(signature)
		case slots[name] != none:
			head.leave(slots[name])
		default:
			head.fix(values[0])
		}
		head.fix("\r\n")
	}
	head.leave(unsigned)
	head.fix("\r\n")
	for name := range strings.SplitSeq(names, ";") {
		canonical.fix(name + ":")
		switch key := http.CanonicalHeaderKey(name); {
		case name == "host":
			canonical.fix(hostOf(signed))
		case slots[key] != none:
			canonical.leave(slots[key])
		default:
			canonical.fix(strings.Join(strings.Fields(headers.Get(key)), " "))
		}
		canonical.fix("\n")
	}
	canonical.fix("\n" + names + "\n")
	tmpl.head, tmpl.canonical = head.texts, canonical.texts

	if _, ours := tmpl.sign(v, body); string(ours[:]) != theirs {
		return nil, fmt.Errorf("the computed signature differs from the signature of the request")
	}
	return tmpl, nil
}

// authorization parses an Authorization header.
func authorization(header string) (credential, names, signature string, err error) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	for part := range strings.SplitSeq(rest, ", ") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			names = value
		case "Signature":
			signature = value
		default:
			ok = false
		}
	}
	if !ok || credential == "" || names == "" || signature == "" {
		return "", "", "", fmt.Errorf("the request is not signed with %s", algorithm)
	}
	return credential, names, signature, nil
}

func valuesOf(signed *http.Request) (*Values, error) {
	at, err := time.Parse(timeFormat, signed.Header.Get("X-Amz-Date"))
	if err != nil {
		return nil, fmt.Errorf("X-Amz-Date of the request: %w", err)
	}
	return &Values{Time: at, Invocation: signed.Header.Get("Amz-Sdk-Invocation-Id"), Inference: signed.Header.Get("X-Amzn-Sagemaker-Inference-Id")}, nil
}

func hostOf(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

// canonicalPath returns the path of a canonical request: escaped once more than in the
// request line, as all services but S3 require.
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	return strings.ReplaceAll(path, "%", "%25")
}

func sortedKeys(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// sane reports whether s is printable ASCII, which is safe in a header field.
func sane(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// writer builds the texts of a template.
type writer struct{ texts []text }

func (w *writer) fix(s string) {
	if n := len(w.texts); n > 0 && w.texts[n-1].slot == none {
		w.texts[n-1].fixed += s
		return
	}
	w.texts = append(w.texts, text{fixed: s})
}

func (w *writer) leave(s slot) {
	w.fix("")
	w.texts[len(w.texts)-1].slot = s
}

// Fits reports whether the values are safe to write into a request.
func (v *Values) Fits() bool {
	for _, field := range v.Unsigned {
		if !word(field.Name) || !sane(field.Value) {
			return false
		}
	}
	return word(v.Invocation) && word(v.Inference)
}

// word reports whether s is visible ASCII without blanks, and not empty.
func word(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// Append appends the signed request with the values and the body to dst.
func (tmpl *RequestTemplate) Append(dst []byte, v *Values, body []byte) []byte {
	at, signed := tmpl.sign(v, body)
	dst = fill(dst, tmpl.head, v, len(body), &at, &signed)
	return append(dst, body...)
}

// stamped is a time in the format of X-Amz-Date.
type stamped [len(timeFormat)]byte

func fill(dst []byte, texts []text, v *Values, size int, at *stamped, signed *[64]byte) []byte {
	for _, t := range texts {
		dst = append(dst, t.fixed...)
		switch t.slot {
		case length:
			dst = strconv.AppendInt(dst, int64(size), 10)
		case stamp:
			dst = append(dst, at[:]...)
		case day:
			dst = append(dst, at[:8]...)
		case invocation:
			dst = append(dst, v.Invocation...)
		case inference:
			dst = append(dst, v.Inference...)
		case signature:
			dst = append(dst, signed[:]...)
		case unsigned:
			for _, field := range v.Unsigned {
				dst = append(append(append(append(dst, field.Name...), ": "...), field.Value...), "\r\n"...)
			}
		case none:
		}
	}
	return dst
}
