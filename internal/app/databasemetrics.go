package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/store"
)

// databaseMetrics shows the connections to the database, and its write
// transactions.
type databaseMetrics struct {
	store     *store.Store
	connector *store.Connector // nil for SQLite
}

var (
	connectionsDesc = prometheus.NewDesc("gateway_database_connections",
		"Connections to the database that are open, by whether they are in use or idle.", []string{"state"}, nil)
	openedDesc = prometheus.NewDesc("gateway_database_connections_opened_total",
		"Connections to the database that were made, each with the credentials of its day.", nil, nil)
	retriedDesc = prometheus.NewDesc("gateway_database_login_retries_total",
		"Logins that the database refused and that were tried again with another version of the secret.", nil, nil)
)

var (
	transactionsDesc = prometheus.NewDesc("gateway_database_transactions_total",
		"Write transactions that began, by class: urgent (single outcomes, idempotency keys, operators, renewals), "+
			"lists (pieces of lists of outcomes), bulk (pieces of imports, of the outbox and of what is removed).", []string{"class"}, nil)
	damagedDesc = prometheus.NewDesc("gateway_database_damaged",
		"1 if damage was found in the database since the start, 0 if not.", nil, nil)
	waitingDesc = prometheus.NewDesc("gateway_database_transactions_waiting",
		"Write transactions that wait for their turn, by class. Urgent ones come first, then lists, then bulk.", []string{"class"}, nil)
)

// Describe implements prometheus.Collector.
func (databaseMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- connectionsDesc
	ch <- openedDesc
	ch <- retriedDesc
	ch <- transactionsDesc
	ch <- waitingDesc
	ch <- damagedDesc
}

// Collect implements prometheus.Collector.
func (m databaseMetrics) Collect(ch chan<- prometheus.Metric) {
	open, inUse := m.store.Connections()
	ch <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(inUse), "in_use")
	ch <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(open-inUse), "idle")
	for _, w := range m.store.Writes() {
		ch <- prometheus.MustNewConstMetric(transactionsDesc, prometheus.CounterValue, float64(w.Begun), w.Class)
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(w.Waiting), w.Class)
	}
	damaged := 0.0
	if m.store.Damaged() {
		damaged = 1
	}
	ch <- prometheus.MustNewConstMetric(damagedDesc, prometheus.GaugeValue, damaged)
	if m.connector == nil {
		return
	}
	opened, retried := m.connector.Opened()
	ch <- prometheus.MustNewConstMetric(openedDesc, prometheus.CounterValue, float64(opened))
	ch <- prometheus.MustNewConstMetric(retriedDesc, prometheus.CounterValue, float64(retried))
}
