package app

import (
	"fmt"
	"testing"

	"gateway/api"
	"gateway/internal/config"
	"gateway/internal/demo"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// Training is what most tests would wait for. So data dirs with customers and a
// model of theirs are made once, by a gateway, and copied for each test.

// kind says what is in a prepared data dir.
type kind struct {
	customers int
	imported  bool // else generated
	demo      bool // what a first start fills it with, instead of the above
}

// demonstrated is a data dir that a first start has filled.
var demonstrated = kind{demo: true}

// generated is a data dir with n generated customers and a model.
func generated(n int) kind { return kind{customers: n} }

var prepared gatewaytest.PreparedDirs

// prepare fills the data dir of a gateway that has not been started. It must be
// one for the bank's schema, with SQLite.
func prepare(t *testing.T, cfg config.Config, k kind) {
	t.Helper()
	prepared.Copy(t, fmt.Sprint(k), cfg.DataDir, func(dir string) { k.make(t, dir) })
}

// make lets a gateway with the default settings fill a data dir.
func (k kind) make(t *testing.T, dir string) {
	t.Helper()
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir, cfg.Demo, cfg.Addr = dir, k.demo, "127.0.0.1:0"
	cfg.APIKeysSecretID, cfg.AdminSecretID = "", ""
	g := start(t, cfg)
	if !k.demo {
		g.learn(t, k.customers, k.imported)
	}
	g.ready(t)
	gatewaytest.Eventually(t, "the first renewal has ended", func() bool {
		renewals, err := g.client.Renewals(t.Context(), 1, "")
		return err == nil && len(renewals) == 1 && renewals[0].Status.Final()
	})
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
}

// learn puts customers into the store and trains a first model.
func (g *gatewayUnderTest) learn(t *testing.T, n int, imported bool) {
	t.Helper()
	customers, err := demo.Customers(schema.Bank(), n, 1)
	if err != nil {
		t.Fatal(err)
	}
	if imported {
		for i := range customers {
			customers[i].Demo = false
		}
	}
	if _, _, err := g.models[0].customers.PutCustomers(t.Context(), customers); err != nil {
		t.Fatal(err)
	}
	if r := g.renew(t, api.RetrainRequest{}); r.Status != modelswap.Succeeded {
		t.Fatalf("the first renewal is %s: %s", r.Status, r.Error)
	}
}

// startPrepared starts a gateway on a prepared data dir and waits until it is
// ready.
func startPrepared(t *testing.T, cfg config.Config, k kind) *gatewayUnderTest {
	t.Helper()
	return startPreparedWith(t, cfg, k, Options{})
}

// startPreparedWith is startPrepared with options.
func startPreparedWith(t *testing.T, cfg config.Config, k kind, o Options) *gatewayUnderTest {
	t.Helper()
	prepare(t, cfg, k)
	g := startWith(t, cfg, o)
	g.ready(t)
	return g
}
