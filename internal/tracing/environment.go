package tracing

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Standard variables that this package reads. OpenTelemetry reads those of the exporter, of
// the queue and of the limits of spans itself (OTEL_EXPORTER_OTLP_HEADERS,
// OTEL_BSP_MAX_QUEUE_SIZE and so on).
const (
	disabledVariable  = "OTEL_SDK_DISABLED"
	exporterVariable  = "OTEL_TRACES_EXPORTER"
	samplerVariable   = "OTEL_TRACES_SAMPLER"
	samplerArgument   = "OTEL_TRACES_SAMPLER_ARG"
	linkLimitVariable = "OTEL_SPAN_LINK_COUNT_LIMIT"
)

// Variables that may be set for traces alone or for all signals. The former has precedence.
var (
	endpointVariables = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
	protocolVariables = []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"}
)

// wanted reports whether the variables enable tracing. The error names a variable that
// prevents it.
func wanted() (bool, error) {
	if strings.EqualFold(variable(disabledVariable), "true") {
		return false, nil
	}
	_, endpoint := first(endpointVariables)
	switch exporter := variable(exporterVariable); exporter {
	case "none":
		return false, nil
	case "":
		if endpoint == "" {
			return false, nil
		}
	case "otlp": // without an endpoint: the default address on this machine
	default:
		return false, fmt.Errorf("%s is %q, want otlp or none", exporterVariable, exporter)
	}
	if name, protocol := first(protocolVariables); !slices.Contains([]string{"", "http/protobuf", "http/json"}, protocol) {
		return false, fmt.Errorf("%s is %q, want http/protobuf or http/json", name, protocol)
	}
	name, endpoint := first(endpointVariables)
	if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return false, fmt.Errorf("%s is not a URL such as http://collector:4318", name)
	}
	return true, nil
}

// variable returns the value of an environment variable; empty if it is not set.
func variable(name string) string { return strings.TrimSpace(os.Getenv(name)) }

// first returns the first of the variables that is set.
func first(names []string) (name, value string) {
	for _, name := range names {
		if value := variable(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// samplerFromEnvironment returns the sampler that the variables configure. By default it
// samples all traces, or those that the trace context of the caller marks as sampled. With
// an error it returns the sampler that is used instead.
func samplerFromEnvironment() (sdktrace.Sampler, error) {
	usual := sdktrace.ParentBased(sdktrace.AlwaysSample())
	ratio, err := 1.0, error(nil)
	if text := variable(samplerArgument); text != "" {
		if ratio, err = strconv.ParseFloat(text, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			ratio, err = 1, fmt.Errorf("%s is %q, want a number from 0 to 1; 1 is used", samplerArgument, text)
		}
	}
	switch name := strings.ToLower(variable(samplerVariable)); name {
	case "", "parentbased_always_on":
		return usual, nil
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "parentbased_always_off":
		return sdktrace.ParentBased(sdktrace.NeverSample()), nil
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(ratio), err
	case "parentbased_traceidratio":
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio)), err
	default:
		return usual, fmt.Errorf("%s is %q, which is unknown; parentbased_always_on is used", samplerVariable, name)
	}
}

// sampler also samples the spans of shared calls that are linked to a sampled request, so
// that its trace includes the call of the model.
type sampler struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	for _, link := range p.Links {
		if link.SpanContext.IsSampled() {
			return sdktrace.AlwaysSample().ShouldSample(p)
		}
	}
	return s.Sampler.ShouldSample(p)
}

// maxLinks is the maximum number of links of a span. The default of 128 is less than the
// number of requests that may share a call.
const maxLinks = 1024

func spanLimits() sdktrace.SpanLimits {
	limits := sdktrace.NewSpanLimits()
	if variable(linkLimitVariable) == "" {
		limits.LinkCountLimit = maxLinks
	}
	return limits
}
