package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// gateway is a process with the binary under test.
type gateway struct {
	*process
	addr, url, data, token string
	renewals               atomic.Int64
}

// startGateway starts a gateway with a new data dir for an endpoint and waits until it is ready
// with a model. settings override the other settings. token is the operators' token if the
// settings have one.
func startGateway(ctx context.Context, binary, dir string, e *endpoint, token string, settings []string) (*gateway, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	g := &gateway{addr: addr, url: "http://" + addr, data: filepath.Join(dir, "data"), token: token}
	cmd := exec.Command(binary, "serve") //nolint:noctx // it is ended by stop
	// Other variables of gateways and of AWS are removed from its environment.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GATEWAY_") || strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, roleVariable)
	})
	cmd.Env = append(cmd.Env, e.Environment...)
	cmd.Env = append(cmd.Env,
		"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=http://"+e.Runtime,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"GATEWAY_ADDR="+addr, "GATEWAY_DATA_DIR="+g.data, "GATEWAY_PLATFORM=sagemaker",
		"GATEWAY_S3_BUCKET="+bucket, "GATEWAY_EXECUTION_ROLE_ARN="+roleARN, "GATEWAY_ENDPOINT_NAME="+endpointName,
		"GATEWAY_DEMO=true", "GATEWAY_RENEWAL_POLL=50ms", "GATEWAY_LOG_FORMAT=json")
	cmd.Env = append(cmd.Env, settings...)
	if g.process, err = launch("gateway", filepath.Join(dir, "gateway.log"), cmd); err != nil {
		return nil, err
	}
	if err := g.serves(ctx); err != nil {
		return g, err
	}
	return g, nil
}

// serves waits for the first model and then renews it once, because from the second model on
// every call has a probe, as in production.
func (g *gateway) serves(ctx context.Context) error {
	const most = 2 * time.Minute
	err := until(ctx, "the gateway is ready", most, func() (bool, error) {
		if err := g.alive(); err != nil {
			return false, err
		}
		_, err := ask(ctx, http.MethodGet, g.url+"/readyz", "", nil)
		return err == nil, ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(g.log))
	}
	if g.token == "" {
		text, err := os.ReadFile(filepath.Join(g.data, "admin-token"))
		if err != nil {
			return err
		}
		g.token = strings.TrimSpace(string(text))
	}
	if err := g.idle(ctx); err != nil {
		return err
	}
	_, err = g.renew(ctx)
	return err
}

// renewal has the used members of a renewal.
type renewal struct {
	ID, Status, Error string
	Model             *string
}

// renew starts a renewal and waits until it has ended, whatever its status. Each renewal has
// another regularization, so that its model has other scores.
func (g *gateway) renew(ctx context.Context) (r renewal, err error) {
	body := fmt.Appendf(nil, `{"force": true, "reason": "load", "overrides": {"hyperparameters": {"wd": "%g"}}}`, 0.001*float64(g.renewals.Add(1)))
	err = until(ctx, "a renewal can be started", time.Minute, func() (bool, error) {
		text, err := ask(ctx, http.MethodPost, g.url+"/admin/retrain", g.token, body)
		if errors.Is(err, errUnavailable) {
			return false, g.alive()
		}
		if err != nil {
			return false, err
		}
		return true, json.Unmarshal(text, &r)
	})
	if err != nil {
		return r, err
	}
	return r, until(ctx, "renewal "+r.ID+" has ended", 5*time.Minute, func() (bool, error) {
		if err := g.alive(); err != nil {
			return false, err
		}
		text, err := ask(ctx, http.MethodGet, g.url+"/admin/renewals/"+r.ID, g.token, nil)
		if err != nil {
			return false, ctx.Err() // the request may have been shed: try again
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return false, err
		}
		return r.Status != "queued" && r.Status != "running", nil
	})
}

// idle waits until no renewal is under way.
func (g *gateway) idle(ctx context.Context) error {
	return until(ctx, "the first renewal has ended", 2*time.Minute, func() (bool, error) {
		text, err := ask(ctx, http.MethodGet, g.url+"/admin/renewals", g.token, nil)
		if err != nil {
			return false, err
		}
		running := strings.Contains(string(text), `"status":"running"`) || strings.Contains(string(text), `"status":"queued"`)
		return !running, nil
	})
}

// metrics returns the metrics of the gateway: for each name the sum over its labels.
func (g *gateway) metrics(ctx context.Context) (map[string]float64, error) {
	text, err := ask(ctx, http.MethodGet, g.url+"/metrics", g.token, nil)
	if err != nil {
		return nil, err
	}
	out := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || name == "#" {
			continue
		}
		if strings.Contains(name, "{") { // the labels may contain blanks
			at := strings.LastIndexByte(line, '}')
			name, value = line[:strings.IndexByte(line, '{')], strings.TrimSpace(line[at+1:])
		}
		x, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %q: %w", line, err)
		}
		out[name] += x
	}
	return out, nil
}

// freePort returns a port that is free now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
