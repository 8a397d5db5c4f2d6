package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Dockerfile makes an image that runs in the same way.
func TestTheDockerfileAgrees(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := regexp.MustCompile(`(?m)^FROM `).Split(string(text), -1)
	if len(stages) != 3 {
		t.Fatalf("%d stages, want two", len(stages)-1)
	}
	build, last := stages[1], strings.ReplaceAll(stages[2], "\\\n", " ")
	value := func(instruction string) string {
		match := regexp.MustCompile(`(?m)^` + instruction + ` +(.*)$`).FindStringSubmatch(last)
		if match == nil {
			t.Errorf("the last stage has no %s", instruction)
			return ""
		}
		return strings.TrimSpace(match[1])
	}
	list := func(instruction string) (all []string) {
		if err := json.Unmarshal([]byte(value(instruction)), &all); err != nil {
			t.Errorf("%s: %v", instruction, err)
		}
		return all
	}
	want := configOf(options{}, platform{}).Config
	if got := value("USER"); got != want.User {
		t.Errorf("USER %s, want %s", got, want.User)
	}
	if got := list("ENTRYPOINT"); !slices.Equal(got, want.Entrypoint) {
		t.Errorf("ENTRYPOINT %s, want %s", got, want.Entrypoint)
	}
	if got := list("CMD"); !slices.Equal(got, want.Cmd) {
		t.Errorf("CMD %s, want %s", got, want.Cmd)
	}
	if _, ok := want.Volumes[value("VOLUME")]; !ok || len(want.Volumes) != 1 {
		t.Errorf("VOLUME %s, want %v", value("VOLUME"), want.Volumes)
	}
	if _, ok := want.ExposedPorts[value("EXPOSE")+"/tcp"]; !ok || len(want.ExposedPorts) != 1 {
		t.Errorf("EXPOSE %s, want %v", value("EXPOSE"), want.ExposedPorts)
	}
	got := strings.Fields(value("ENV"))
	settings := slices.DeleteFunc(slices.Clone(want.Env), func(s string) bool { return !strings.HasPrefix(s, "GATEWAY_") })
	if !slices.Equal(got, settings) {
		t.Errorf("ENV %s, want %s", got, settings)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"CGO_ENABLED=0", "-trimpath", "-X main.version="} {
		if !strings.Contains(build, flag) || !strings.Contains(string(makefile), flag) {
			t.Errorf("Dockerfile and Makefile do not both build with %s", flag)
		}
	}
	for _, base := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(base[1], "@sha256:") {
			t.Errorf("the base %s is not pinned by its digest", base[1])
		}
	}
}
