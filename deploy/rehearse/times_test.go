package rehearse

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// times of a deployment. Those that it waits for are divided by the factor; the
// limits of a stop are not, as it ends when it is done.
type times struct {
	checkInterval  time.Duration // between two health checks
	healthy        int           // checks that a new gateway must pass
	unhealthy      int           // checks that a bad one must fail
	deregistration time.Duration // from deregistering to SIGTERM
	proxyIdle      time.Duration // that the load balancer keeps an idle connection
	gatewayIdle    time.Duration // that the gateway keeps it
	grace          time.Duration // GATEWAY_SHUTDOWN_GRACE
	stop           time.Duration // from SIGTERM to SIGKILL
}

// statedTimes reads the times of the stack and the defaults of the gateway.
func statedTimes(t *testing.T, factor int) times {
	t.Helper()
	stack, settings := readFile(t, "../cloudformation/gateway.yaml"), readFile(t, "../../docs/configuration.md")
	scaled := func(d time.Duration) time.Duration { return d / time.Duration(factor) }
	inStack := func(pattern string) time.Duration {
		return time.Duration(number(t, stack, pattern)) * time.Second
	}
	setting := func(name string) time.Duration {
		d, err := time.ParseDuration(find(t, settings, "\\| `"+name+"` \\| `([^`]+)`"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return times{
		checkInterval:  scaled(inStack(`HealthCheckIntervalSeconds: (\d+)`)),
		healthy:        number(t, stack, `\bHealthyThresholdCount: (\d+)`),
		unhealthy:      number(t, stack, `UnhealthyThresholdCount: (\d+)`),
		deregistration: scaled(inStack(`deregistration_delay.timeout_seconds, Value: "(\d+)"`)),
		proxyIdle:      scaled(inStack(`idle_timeout.timeout_seconds, Value: "(\d+)"`)),
		stop:           inStack(`StopTimeout: (\d+)`),
		gatewayIdle:    scaled(setting("GATEWAY_IDLE_TIMEOUT")),
		grace:          setting("GATEWAY_SHUTDOWN_GRACE"),
	}
}

func number(t *testing.T, text, pattern string) int {
	t.Helper()
	n, err := strconv.Atoi(find(t, text, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("there is no %s", pattern)
	}
	return match[1]
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
