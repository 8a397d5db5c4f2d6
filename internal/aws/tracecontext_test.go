package aws

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"gateway/internal/callctx"
)

func TestATracesContextGoesAlongWithACallAndIsNotSigned(t *testing.T) {
	var got []http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header)
		if len(got) == 1 {
			w.WriteHeader(http.StatusInternalServerError) // so the SDK makes a second attempt
		}
	}))
	defer server.Close()
	clients, err := NewClients(sdk.Config{Region: "eu-central-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("AKIASTANDIN", "stand-in", "")})
	if err != nil {
		t.Fatal(err)
	}
	call := invocation{endpoint: "endpoint", contentType: typeCSV, accept: "application/json", id: "one", body: []byte("1")}
	const parent, state = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1"
	traced := callctx.WithTrace(t.Context(), callctx.Trace{Parent: parent, State: state})
	for _, ctx := range []context.Context{traced, t.Context()} {
		answer, err := clients.runtime.invoke(ctx, &call)
		if err != nil {
			t.Fatal(err)
		}
		answer.release()
	}
	if len(got) != 3 {
		t.Fatalf("%d attempts, want 3", len(got))
	}
	for i, header := range got[:2] {
		if header.Get("Traceparent") != parent || header.Get("Tracestate") != state {
			t.Errorf("attempt %d took %q and %q along", i, header.Get("Traceparent"), header.Get("Tracestate"))
		}
		if i == 0 && header.Get("Amz-Sdk-Request") != "attempt=1; max=3" || i == 1 && !strings.HasPrefix(header.Get("Amz-Sdk-Request"), "attempt=2") {
			t.Errorf("attempt %d says that it is %s", i, header.Get("Amz-Sdk-Request"))
		}
		if signed := header.Get("Authorization"); signed == "" || strings.Contains(signed, "trace") {
			t.Errorf("attempt %d is signed by %q: a proxy that changes the context would break it", i, signed)
		}
	}
	if got[2].Get("Traceparent") != "" || got[2].Get("Tracestate") != "" {
		t.Errorf("a call in no trace took %v along", got[2])
	}
}
