package callctx_test

import (
	"context"
	"testing"

	"gateway/internal/callctx"
)

func TestCallID(t *testing.T) {
	ctx := t.Context()
	if first := callctx.CallID(ctx); len(first) != 36 || first == callctx.CallID(ctx) {
		t.Errorf("without an id the call has %q, want a new one each time", first)
	}
	ctx = context.WithValue(ctx, callctx.Key{}, &callctx.Info{Caller: "shop"})
	named := callctx.WithCallID(ctx, "p1")
	if callctx.CallID(named) != "p1" || callctx.Caller(named) != "shop" || callctx.Caller(t.Context()) != "" {
		t.Errorf("the call is %q of %q", callctx.CallID(named), callctx.Caller(named))
	}
	if callctx.WithCallID(named, "p1") != named {
		t.Error("a context that has the id was replaced")
	}
	if callctx.CallID(ctx) == "p1" {
		t.Error("the id is in the parent")
	}
}
