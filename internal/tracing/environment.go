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

// The standard variables that are read here. The exporter, the queue and the
// limits of spans read theirs by themselves (OTEL_EXPORTER_OTLP_HEADERS,
// OTEL_BSP_MAX_QUEUE_SIZE and so on).
const (
	disabledVariable  = "OTEL_SDK_DISABLED"
	exporterVariable  = "OTEL_TRACES_EXPORTER"
	samplerVariable   = "OTEL_TRACES_SAMPLER"
	samplerArgument   = "OTEL_TRACES_SAMPLER_ARG"
	linkLimitVariable = "OTEL_SPAN_LINK_COUNT_LIMIT"
)

// Each of these may be set for traces alone, which wins, or for all signals.
var (
	endpointVariables = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
	protocolVariables = []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"}
)

// wanted reports whether the variables ask for traces. The error names the
// variable because of which there can be none.
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
	case "otlp": // without an endpoint: at its usual place on this machine
	default:
		return false, fmt.Errorf("%s: %q is not otlp or none", exporterVariable, exporter)
	}
	if name, protocol := first(protocolVariables); !slices.Contains([]string{"", "http/protobuf", "http/json"}, protocol) {
		return false, fmt.Errorf("%s: %q is not spoken, http/protobuf and http/json are", name, protocol)
	}
	name, endpoint := first(endpointVariables)
	if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return false, fmt.Errorf("%s is not an address such as http://collector:4318", name)
	}
	return true, nil
}

// variable reads a variable. Empty means not set.
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

// samplerFromEnvironment reads which traces are kept. By default it is all, or
// what the caller's trace context says.
func samplerFromEnvironment() (sdktrace.Sampler, error) {
	usual := sdktrace.ParentBased(sdktrace.AlwaysSample())
	ratio, err := 1.0, error(nil)
	if text := variable(samplerArgument); text != "" {
		if ratio, err = strconv.ParseFloat(text, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			ratio, err = 1, fmt.Errorf("%s: %q is not a share from 0 to 1; taken as 1", samplerArgument, text)
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
		return usual, fmt.Errorf("%s: %q is not known; taken as parentbased_always_on", samplerVariable, name)
	}
}

// sampler keeps, besides what the variables say, the calls that a request
// shares whose trace is kept: a request's trace would end at its most
// interesting place.
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

// maxLinks is how many requests the span of a shared call can name. The SDK's
// own limit is fewer than a call may have.
const maxLinks = 1024

func spanLimits() sdktrace.SpanLimits {
	limits := sdktrace.NewSpanLimits()
	if variable(linkLimitVariable) == "" {
		limits.LinkCountLimit = maxLinks
	}
	return limits
}
