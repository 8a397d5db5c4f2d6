package config

import "testing"

func TestSettingsInForce(t *testing.T) {
	t.Setenv("GATEWAY_ADDR", "127.0.0.1:9999")
	t.Setenv("GATEWAY_PLATFORM", "")
	found := map[string]Effective{}
	for _, group := range InForce() {
		for _, s := range group.Settings {
			found[s.Name] = s
		}
	}
	if s := found["GATEWAY_ADDR"]; s.Value != "127.0.0.1:9999" || !s.Set {
		t.Errorf("GATEWAY_ADDR is %+v", s)
	}
	if s := found["GATEWAY_PLATFORM"]; s.Value != "local" || s.Set {
		t.Errorf("GATEWAY_PLATFORM is %+v", s)
	}
	if len(found) != len(Settings()) {
		t.Errorf("%d settings, want %d", len(found), len(Settings()))
	}
}
