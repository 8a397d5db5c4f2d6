package config

import (
	"testing"
)

func TestVariablesThatKubernetesSetsAreNotMistakenForSettings(t *testing.T) {
	for _, name := range []string{"GATEWAY_PORT", "GATEWAY_SERVICE_HOST", "GATEWAY_SERVICE_PORT", "GATEWAY_SERVICE_PORT_HTTP",
		"GATEWAY_PORT_8080_TCP", "GATEWAY_PORT_8080_TCP_ADDR"} {
		t.Setenv(name, "tcp://10.0.0.1:8080")
	}
	if _, err := Load(); err != nil {
		t.Errorf("the start is refused: %v", err)
	}
}

func TestAnEmptySettingCountsAsNotSet(t *testing.T) {
	t.Setenv("GATEWAY_MAX_BODY", "")
	t.Setenv("GATEWAY_DEMO", "")
	cfg, err := Load()
	if err != nil || cfg.MaxBody != 1<<20 || !cfg.Demo {
		t.Errorf("got %+v (%v), want the defaults", cfg, err)
	}
}
