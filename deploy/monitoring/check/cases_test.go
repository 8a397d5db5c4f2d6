package check

import "time"

// step is how often series have a value and rules are evaluated.
const step = 30 * time.Second

// epoch is the Unix time at which a case begins.
const epoch = 1_000_000 * time.Second

// healthy is a gateway with which all is well: three predictions a second for
// eight hours. Where a case has the same series, it is the case's that counts.
var healthy = []string{
	`gateway_dependency_up{dependency="model",required="true",instance="a"} 1x960`,
	`gateway_dependency_up{dependency="database",required="false",instance="a"} 1x960`,
	`gateway_http_requests_total{route="/predict",method="POST",code="200",instance="a"} 0+90x960`,
	`gateway_http_requests_total{route="/predict",method="POST",code="503",instance="a"} 0x960`,
	`gateway_http_requests_total{route="/admin/status",method="GET",code="500",instance="a"} 0+90x960`,
	`gateway_http_request_seconds_bucket{route="/predict",class="2xx",le="0.1",instance="a"} 0+90x960`,
	`gateway_http_request_seconds_bucket{route="/predict",class="2xx",le="0.25",instance="a"} 0+90x960`,
	`gateway_http_request_seconds_bucket{route="/predict",class="2xx",le="0.5",instance="a"} 0+90x960`,
	`gateway_http_request_seconds_bucket{route="/predict",class="2xx",le="+Inf",instance="a"} 0+90x960`,
	`gateway_shed_total{reason="queue",class="prediction",caller="anonymous",instance="a"} 0x960`,
	`gateway_connections_refused_total{listener="public",instance="a"} 0x960`,
	`gateway_breaker_state{state="closed",instance="a"} 1x960`,
	`gateway_breaker_state{state="open",instance="a"} 0x960`,
	`gateway_batch_shed_total{reason="full",instance="a"} 0x960`,
	`gateway_batch_shed_total{reason="stopping",instance="a"} 0+900x960`,
	`gateway_batch_call_seconds_count{outcome="ok",instance="a"} 0+30x960`,
	`gateway_batch_call_seconds_count{outcome="throttled",instance="a"} 0x960`,
	`gateway_batch_call_seconds_count{outcome="failed",instance="a"} 0x960`,
	`gateway_outbox_oldest_age_seconds{instance="a"} 1x960`,
	`gateway_outbox_dropped_total{instance="a"} 7x960`,
	`gateway_outbox_refused_total{instance="a"} 7x960`,
	`gateway_outbox_set_aside_total{instance="a"} 0x960`,
	`gateway_outbox_damaged_total{instance="a"} 0x960`,
	`gateway_outbox_unread_files{instance="a"} 0x960`,
	`gateway_ledger_failures_total{instance="a"} 0x960`,
	`gateway_secret_age_seconds{secret="database",instance="a"} 200x960`,
	`gateway_renewals_total{status="failed",instance="a"} 0x960`,
	`gateway_renewals_total{status="rejected",instance="a"} 2x960`,
	`gateway_champion_auc_fall{instance="a"} 0.05x960`,
	`gateway_drift_alarm{instance="a"} 0x960`,
	`gateway_quality{model="m",metric="auc_high",instance="a"} 0.9x960`,
	`gateway_quality{model="m",metric="held_out_auc",instance="a"} 0.9x960`,
	`gateway_renewals_total{status="succeeded",instance="a"} 0+1x960`,
	`gateway_renewal_step{step="train",instance="a"} 0x960`,
	`gateway_schedule_next_timestamp_seconds{instance="a"} 1030000x960`,
	`gateway_model_created_timestamp_seconds{instance="a"} 1000000x960`,
	`gateway_trace_spans_total{state="failed",instance="a"} 3x960`,
}

// cases let alerts fire: at a time, and none before quiet.
var cases = []struct {
	name      string
	series    []string
	quiet, at time.Duration
	want      []string
}{
	{"all is well", nil, 8 * time.Hour, 8 * time.Hour, nil},
	{"the gateways are gone", []string{
		`gateway_dependency_up{dependency="model",required="true",instance="a"} _x960`,
		`gateway_dependency_up{dependency="database",required="false",instance="a"} _x960`,
	}, 2 * time.Minute, 2 * time.Minute, []string{"GatewayAbsent"}},
	{"no model answers", []string{`gateway_dependency_up{dependency="model",required="true",instance="a"} 1x19 0x100`},
		11 * time.Minute, 11 * time.Minute, []string{"GatewayCannotPredict"}},
	{"the database is down", []string{`gateway_dependency_up{dependency="database",required="false",instance="a"} 1x19 0x100`},
		12 * time.Minute, 12 * time.Minute, []string{"GatewayDependencyDown"}},
	{"one request in ten fails", []string{`gateway_http_requests_total{route="/predict",method="POST",code="503",instance="a"} 0x119 0+10x200`},
		62 * time.Minute, 75 * time.Minute, []string{"GatewayErrorsBurnFast"}},
	{"one request in a hundred fails", []string{`gateway_http_requests_total{route="/predict",method="POST",code="503",instance="a"} 0+0.9x960`},
		15 * time.Minute, 7 * time.Hour, []string{"GatewayErrorsBurnSlow"}},
	{"a few failures that soon end", []string{`gateway_http_requests_total{route="/predict",method="POST",code="503",instance="a"} 0x119 0+3x10 30x800`},
		8 * time.Hour, 8 * time.Hour, nil},
	{"two predictions in a hundred take half a second", []string{
		`gateway_http_request_seconds_bucket{route="/predict",class="2xx",le="0.1",instance="a"} 0+88x960`,
		`gateway_http_request_seconds_bucket{route="/predict",class="2xx",le="0.25",instance="a"} 0+88x960`,
	}, 10 * time.Minute, 11 * time.Minute, []string{"GatewaySlow"}},
	{"requests are turned away at the front", []string{`gateway_shed_total{reason="queue",class="prediction",caller="anonymous",instance="a"} _x20 100+300x200`},
		15 * time.Minute, 20 * time.Minute, []string{"GatewaySheds"}},
	{"a flood of connections", []string{`gateway_connections_refused_total{listener="public",instance="a"} 0x20 50x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayConnectionsRefused"}},
	{"the breaker goes between open and half-open", []string{
		`gateway_breaker_state{state="closed",instance="a"} 1x19 0x900`,
		`gateway_breaker_state{state="open",instance="a"} 0x19 1 0 1 0 1 0 1x900`,
	}, 11 * time.Minute, 11 * time.Minute, []string{"GatewayBreakerOpen"}},
	{"the queue is full", []string{`gateway_batch_shed_total{reason="full",instance="a"} 0x20 0+300x200`},
		15 * time.Minute, 20 * time.Minute, []string{"GatewayQueueSheds"}},
	{"the endpoint throttles one call in ten", []string{`gateway_batch_call_seconds_count{outcome="throttled",instance="a"} 0+3x960`},
		10 * time.Minute, 11 * time.Minute, []string{"GatewayEndpointThrottles"}},
	{"one call in ten fails", []string{`gateway_batch_call_seconds_count{outcome="failed",instance="a"} 0+3.4x960`},
		5 * time.Minute, 6 * time.Minute, []string{"GatewayEndpointFails"}},
	{"the outbox is not drained", []string{`gateway_outbox_oldest_age_seconds{instance="a"} 0+30x960`},
		10 * time.Minute, 11 * time.Minute, []string{"GatewayOutboxGrows"}},
	{"the outbox drops", []string{`gateway_outbox_dropped_total{instance="a"} 0x20 5x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayOutboxLoses"}},
	{"the outbox refuses", []string{`gateway_outbox_refused_total{instance="a"} 0x20 5x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayOutboxLoses"}},
	{"the ledger fails", []string{`gateway_ledger_failures_total{instance="a"} 0x20 1x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayLedgerFails"}},
	{"the disk spoils a segment", []string{`gateway_outbox_damaged_total{instance="a"} 0x20 1x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayLedgerFails"}},
	{"the database refuses a row", []string{`gateway_outbox_set_aside_total{instance="a"} 0x20 1x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayLedgerFails"}},
	{"a start finds files that are no segments", []string{`gateway_outbox_unread_files{instance="a"} 0x20 1x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayLedgerFails"}},
	{"Secrets Manager does not answer", []string{`gateway_secret_age_seconds{secret="database",instance="a"} 0+30x960`},
		20 * time.Minute, 21 * time.Minute, []string{"GatewaySecretOld"}},
	{"a renewal fails", []string{`gateway_renewals_total{status="failed",instance="a"} 0x20 1x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayRenewalFailed"}},
	{"a renewal is rejected", []string{`gateway_renewals_total{status="rejected",instance="a"} 2x20 3x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayRenewalRejected"}},
	{"the data drifts", []string{`gateway_drift_alarm{instance="a"} 0x20 1x900`},
		39 * time.Minute, 42 * time.Minute, []string{"GatewayDataDrifted"}},
	{"outcomes tell that the model is worse", []string{`gateway_quality{model="m",metric="auc_high",instance="a"} 0.9x20 0.84x900`},
		39 * time.Minute, 42 * time.Minute, []string{"GatewayQualityFell"}},
	{"the champion's figure falls", []string{`gateway_champion_auc_fall{instance="a"} 0.05x20 0.06x900`},
		10 * time.Minute, 12 * time.Minute, []string{"GatewayChampionFell"}},
	{"a renewal does not end", []string{`gateway_renewal_step{step="train",instance="a"} 1x960`},
		6 * time.Hour, 6 * time.Hour, []string{"GatewayRenewalStands"}},
	{"the schedule stands still", []string{`gateway_schedule_next_timestamp_seconds{instance="a"} 1000600x960`},
		25 * time.Minute, 26 * time.Minute, []string{"GatewayScheduleMissed"}},
	{"there is no schedule", []string{`gateway_schedule_next_timestamp_seconds{instance="a"} 0x960`}, 8 * time.Hour, 8 * time.Hour, nil},
	{"the model turns eight days old", []string{`gateway_model_created_timestamp_seconds{instance="a"} 312400x960`},
		time.Hour, 62 * time.Minute, []string{"GatewayModelOld"}},
	{"there is no model yet", []string{`gateway_model_created_timestamp_seconds{instance="a"} 0x960`}, 8 * time.Hour, 8 * time.Hour, nil},
	{"the collector is down", []string{`gateway_trace_spans_total{state="failed",instance="a"} 0+100x960`},
		30 * time.Minute, 31 * time.Minute, []string{"GatewayTracesLost"}},
}
