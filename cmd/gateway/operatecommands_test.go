package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/modelswap"
)

// TestOperatorsCommands asks a gateway that serves, and then the data dir that it
// leaves, for its state, renewals and models, and goes back to an earlier model.
func TestOperatorsCommands(t *testing.T) {
	g := start(t, config(t))
	g.ready(t)
	if r := g.renew(t, api.RetrainRequest{Force: true}); r.Status != modelswap.Succeeded {
		t.Fatalf("the second renewal is %s: %s", r.Status, r.Error)
	}
	renewals, err := g.client.Renewals(t.Context(), 0, "")
	if err != nil || len(renewals) != 2 {
		t.Fatalf("%d renewals, %v", len(renewals), err)
	}
	newest, first := renewals[0], renewals[1]

	ask := func(where []string) {
		t.Helper()
		want := func(args []string, texts ...string) string {
			t.Helper()
			code, out, errs := command(t, append(args, where...)...)
			if code != exitOK {
				t.Fatalf("%v ended with %d: %s", args, code, errs)
			}
			for _, text := range texts {
				if !strings.Contains(out, text) {
					t.Errorf("%v: no %q in:\n%s", args, text, out)
				}
			}
			return out
		}
		want([]string{"status"}, *newest.Model, " UTC", "dependency database  ok", "6000, 5391 labelled, 6000 generated", newest.ID+" succeeded at ")
		var page map[string]any
		if out := want([]string{"status", "--json"}); json.Unmarshal([]byte(out), &page) != nil || page["model"] != *newest.Model {
			t.Errorf("status --json: %s", out)
		}
		if out := want([]string{"renewals"}, newest.ID, first.ID, "succeeded", "manual"); len(lines(out)) != 3 {
			t.Errorf("renewals:\n%s", out)
		}
		if out := want([]string{"renewals", "--limit", "1"}, newest.ID); len(lines(out)) != 2 {
			t.Errorf("renewals --limit 1:\n%s", out)
		}
		want([]string{"renewals", first.ID}, "verify    succeeded", " UTC", "items: 6000")
		var list api.RenewalList
		if out := want([]string{"renewals", "--json"}); json.Unmarshal([]byte(out), &list) != nil || len(list.Renewals) != 2 {
			t.Errorf("renewals --json: %s", out)
		}
		want([]string{"models"}, *newest.Model, *first.Model, "serving", "kept")
		want([]string{"rollback"}, "model "+*first.Model+" serves since ")
		want([]string{"rollback", *newest.Model}, "model "+*newest.Model+" serves since ")

		for args, text := range map[string]string{
			"rollback none": `no model "none"`, "renewals none": "404", "rollback " + *newest.Model: "serves already",
		} {
			code, out, errs := command(t, append(strings.Fields(args), where...)...)
			if code != exitFailed || out != "" || len(lines(errs)) != 1 || !strings.Contains(errs, text) {
				t.Errorf("%s ended with %d: %q %q", args, code, out, errs)
			}
		}
	}
	ask([]string{"--url", g.url})
	code, _, errs := command(t, "models")
	if code != exitFailed || !strings.Contains(errs, "--url "+g.url) {
		t.Errorf("models beside the gateway that serves ended with %d: %s, want the flag that helps", code, errs)
	}
	code, _, errs = command(t, "status", "--url", g.url, "--token", "wrong")
	if code != exitFailed || len(lines(errs)) != 1 || !strings.Contains(errs, "--token") {
		t.Errorf("status with a wrong token ended with %d: %s", code, errs)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	ask(nil)
	code, _, errs = command(t, "status", "--url", g.url)
	if code != exitFailed || len(lines(errs)) != 1 || !strings.Contains(errs, "no gateway answers at --url: ") || !strings.Contains(errs, g.url) {
		t.Errorf("status of a gateway that is gone ended with %d: %s", code, errs)
	}
}

func TestOperatorsCommandsWithoutADataDir(t *testing.T) {
	config(t)
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("GATEWAY_DATA_DIR", none)
	for _, name := range []string{"status", "renewals", "models", "rollback"} {
		code, out, errs := command(t, name)
		if code != exitFailed || out != "" || len(lines(errs)) != 1 || !strings.Contains(errs, "GATEWAY_DATA_DIR") || !strings.Contains(errs, "--url") {
			t.Errorf("%s ended with %d: %q %q", name, code, out, errs)
		}
		if code, out, _ := command(t, name, "--help"); code != exitOK || !strings.Contains(out, "Exit codes: 0 success") {
			t.Errorf("%s --help ended with %d: %s", name, code, out)
		}
	}
	if found, _ := filepath.Glob(none); len(found) > 0 {
		t.Error("the commands made a data dir")
	}
}

// TestStatusOfAGatewayWithoutAModel fails, and says how to get a model.
func TestStatusOfAGatewayWithoutAModel(t *testing.T) {
	config(t) // its data dir is there, and empty
	code, out, errs := command(t, "status")
	if code != exitFailed || !strings.Contains(out, "gateway retrain") || !strings.Contains(errs, "cannot predict") {
		t.Errorf("status ended with %d: %s%s", code, out, errs)
	}
	code, _, errs = command(t, "rollback")
	if code != exitFailed || !strings.Contains(errs, "gateway retrain") {
		t.Errorf("rollback ended with %d: %s", code, errs)
	}
}
