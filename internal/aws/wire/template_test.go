package wire

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// published is a request of AWS's test suite for Signature Version 4
// (post-x-www-form-urlencoded), signed as it is there.
func published(change func(*http.Request)) (*http.Request, []byte, string) {
	body := "Param1=value1"
	r, err := http.NewRequest(http.MethodPost, "https://example.amazonaws.com/", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=content-type;host;x-amz-date, "+
		"Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a")
	if change != nil {
		change(r)
	}
	return r, []byte(body), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
}

func TestAPublishedRequestIsSignedAsPublished(t *testing.T) {
	f, err := NewTemplate(published(nil))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2015, 8, 30, 14, 36, 0, 999, time.FixedZone("CEST", 2*3600))
	got := string(f.Append([]byte("before|"), &Values{Time: at}, []byte("Param1=value1")))
	want := "before|POST / HTTP/1.1\r\nHost: example.amazonaws.com\r\nContent-Length: 13\r\n" +
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=content-type;host;x-amz-date, " +
		"Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a\r\n" +
		"Content-Type: application/x-www-form-urlencoded\r\nX-Amz-Date: 20150830T123600Z\r\n\r\nParam1=value1"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// Another day, another key; and back.
	other := f.Append(nil, &Values{Time: at.AddDate(0, 0, 1)}, []byte("Param1=value1"))
	if strings.Contains(string(other), "ff1189793") || !strings.Contains(string(other), "AKIDEXAMPLE/20150831/us-east-1") {
		t.Errorf("a day later: %s", other)
	}
	if again := string(f.Append([]byte("before|"), &Values{Time: at}, []byte("Param1=value1"))); again != want {
		t.Errorf("got\n%s\nwant\n%s", again, want)
	}
}

func TestAnUnsupportedRequestMakesNoTemplate(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	tests := []struct {
		name   string
		change func(*http.Request)
		want   string
	}{
		{"not signed", func(r *http.Request) { r.Header.Del("Authorization") }, "not signed"},
		{"a bearer token", header("Authorization", "Bearer abc"), "not signed"},
		{"another algorithm", header("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=a/20150830/service/aws4_request, SignedHeaders=host, Signature=00"), "not signed"},
		{"another signature", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "ff11", "ff12", 1))
		}, "differs"},
		{"a header that was signed otherwise", header("Content-Type", "text/plain"), "differs"},
		{"another host", func(r *http.Request) { r.Host = "example.com" }, "differs"},
		{"another day", header("X-Amz-Date", "20150831T123600Z"), "scope"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "X-Amz-Date"},
		{"a query", func(r *http.Request) { r.URL.RawQuery = "a=b" }, "is not a POST"},
		{"another method", func(r *http.Request) { r.Method = http.MethodPut }, "is not a POST"},
		{"chunks", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, "is not a POST"},
		{"another length", func(r *http.Request) { r.ContentLength = 14 }, "13 bytes"},
		{"a header on two lines", func(r *http.Request) { r.Header["X-Two"] = []string{"a", "b"} }, "X-Two"},
		{"a header that breaks the line", header("X-Break", "a\r\nX-Evil: b"), "X-Break"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewTemplate(published(tt.change)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
		})
	}
}

func TestOnlyWordsFitInAHeader(t *testing.T) {
	for _, tt := range []struct {
		id   string
		fits bool
	}{
		{"0192f7a1-7b3c-7def-8123-456789abcdef", true}, {"a", true}, {"", false}, {"a b", false}, {"a\r\nX-Evil: b", false}, {"é", false}, {"a\x00", false}, {"a\x7f", false},
	} {
		if v := (Values{Invocation: "i", Inference: tt.id}); v.Fits() != tt.fits {
			t.Errorf("%q fits: %v", tt.id, v.Fits())
		}
		if v := (Values{Invocation: tt.id, Inference: "i"}); v.Fits() != tt.fits {
			t.Errorf("%q fits: %v", tt.id, v.Fits())
		}
	}
}
