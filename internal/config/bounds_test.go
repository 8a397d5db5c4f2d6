package config

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"gateway/internal/aws"
	"gateway/internal/outbox"
)

// TestEveryNumberHasALowestValue fails for a new setting without bounds.
func TestEveryNumberHasALowestValue(t *testing.T) {
	var c Config
	numbers := c.numbers()
	if len(numbers) < 25 {
		t.Fatalf("only %d settings are numbers", len(numbers))
	}
	for _, n := range numbers {
		_, least := n.bound("min")
		_, above := n.bound("more")
		if !least && !above {
			t.Errorf("%s has neither the tag min nor the tag more", n.name)
		}
	}
	for name, want := range map[string]int64{"GATEWAY_BATCH_MAX_ROWS": aws.CallRows} {
		for _, n := range numbers {
			if got, _ := n.bound("max"); n.name == name && got != float64(want) {
				t.Errorf("%s may be %v at most, want %d", name, got, want)
			}
		}
	}
	for _, n := range numbers {
		if got, _ := n.bound("min"); n.name == "GATEWAY_OUTBOX_MAX_SIZE" && got != outbox.MinBytes {
			t.Errorf("%s must be %v at least, want %d", n.name, got, outbox.MinBytes)
		}
	}
}

// TestNumbersOutOfBoundsStopTheStart tries -1 with every number, on both
// platforms: what a platform does not read must not be wrong either.
func TestNumbersOutOfBoundsStopTheStart(t *testing.T) {
	var c Config
	for _, platform := range []string{Local, SageMaker} {
		for _, n := range c.numbers() {
			t.Run(platform+" "+n.name, func(t *testing.T) {
				t.Setenv("GATEWAY_PLATFORM", platform)
				value := "-1"
				if strings.HasSuffix(n.value.Type().String(), "Duration") {
					value = "-1s"
				}
				t.Setenv(n.name, value)
				_, err := Load()
				if err == nil || !strings.Contains(err.Error(), n.name+": ") {
					t.Errorf("%s=%s gave %v, want an error that names it", n.name, value, err)
				}
			})
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "1048576": 1 << 20, "512KiB": 512 << 10, "1MiB": 1 << 20, "1 MiB": 1 << 20, "4GiB": 4 << 30, "2TiB": 2 << 40,
		"64Ki": 64 << 10, "3Mi": 3 << 20, "8Gi": 8 << 30, "1Ti": 1 << 40, "3000000000": 3_000_000_000, "8388607Ti": 8388607 << 40,
	} {
		var b Bytes
		if err := b.Decode(text); err != nil || int64(b) != want {
			t.Errorf("%q is %d (%v), want %d", text, b, err, want)
		}
		var again Bytes
		if err := again.Decode(b.String()); err != nil || again != b {
			t.Errorf("%d is printed as %q, which is %d (%v)", b, b, again, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "1B", "1KB", "1M", "1G", "1.5GiB", "GiB", "1GiBi", "1KiMi", "0x10", "1e6", "8388608Ti",
		strconv.FormatInt(math.MaxInt64, 10) + "0"} {
		var b Bytes
		if err := b.Decode(text); err == nil {
			t.Errorf("%q is %d, want an error", text, b)
		}
	}
}

func TestVariablesOfServicesInKubernetesAreNotSettings(t *testing.T) {
	for name, value := range map[string]string{
		"GATEWAY_SERVICE_HOST": "10.0.0.1", "GATEWAY_SERVICE_PORT": "8080", "GATEWAY_SERVICE_PORT_HTTP": "8080",
		"GATEWAY_PORT": "tcp://10.0.0.1:8080", "GATEWAY_PORT_8080_TCP": "tcp://10.0.0.1:8080", "GATEWAY_PORT_8080_TCP_PROTO": "tcp",
		"GATEWAY_PORT_8080_TCP_PORT": "8080", "GATEWAY_PORT_8080_TCP_ADDR": "10.0.0.1",
		"GATEWAY_POSTGRESQL_SERVICE_HOST": "10.0.0.2", "GATEWAY_POSTGRESQL_SERVICE_PORT": "5432",
		"GATEWAY_POSTGRESQL_SERVICE_PORT_TCP_POSTGRESQL": "5432", "GATEWAY_POSTGRESQL_PORT": "tcp://10.0.0.2:5432",
		"GATEWAY_POSTGRESQL_PORT_5432_TCP": "tcp://10.0.0.2:5432", "GATEWAY_POSTGRESQL_PORT_5432_TCP_PROTO": "tcp",
		"GATEWAY_POSTGRESQL_PORT_5432_TCP_PORT": "5432", "GATEWAY_POSTGRESQL_PORT_5432_TCP_ADDR": "10.0.0.2",
		"GATEWAY_ADMIN_PORT_53_UDP_ADDR": "10.0.0.3", "GATEWAY_REDIS_MASTER_SERVICE_HOST": "10.0.0.4",
	} {
		t.Setenv(name, value)
	}
	if _, err := Load(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	for name, value := range map[string]string{
		"GATEWAY_DB_PORT": "5432", "GATEWAY_PORT": "8080", "GATEWAY_DB_SERVICE": "x", "GATEWAY_SERVICE": "x", "GATEWAY_PORT_TCP": "x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if _, err := Load(); err == nil || !strings.Contains(err.Error(), name+": there is no such setting") {
				t.Errorf("%s=%s gave %v, want an error that names it", name, value, err)
			}
		})
	}
}
