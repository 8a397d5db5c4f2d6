package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"gateway/internal/gatewaytest"
	"gateway/internal/sandbox"
)

// TestARenewalOnSageMakerSurvivesKill9 kills the gateway with SIGKILL before
// and after each call that a renewal makes of the services, and in the middle
// of each file, as TestARenewalSurvivesKill9 does. Besides, SageMaker must have
// been asked for one training job and one evaluation for each renewal: they are
// what costs money.
func TestARenewalOnSageMakerSurvivesKill9(t *testing.T) {
	s := sandbox.Start(t, sandbox.Options{Buckets: []string{"bank"}, Pace: sandbox.RealPace().Faster(5000)})
	gatewaytest.UseSandbox(t, s, "GATEWAY_RENEWAL_POLL", "5ms", "GATEWAY_TRAINING_MAX_RUNTIME", "24h")
	newConfig(t)
	file, schema := gatewaytest.SmallData(t)
	v := newVictim(t, file, schema, "")
	killed := 0
	// What the engine does with its own records is the same on every platform.
	points := slices.DeleteFunc(v.points(), func(point string) bool {
		return strings.HasPrefix(point, "save ") || strings.Contains(point, "Renewal") || strings.Contains(point, "Mark") ||
			strings.Contains(point, "InsertModel") || strings.Contains(point, "RecentPredictions")
	})
	if len(points) < 20 {
		t.Errorf("only %d points: the test shows little", len(points))
	}
	for _, point := range sampleOf(points, 1) {
		v.killAt(point)
		killed++
	}
	for _, operation := range []string{"CreateTrainingJob", "CreateTransformJob"} {
		made := 0
		for _, c := range s.Calls(operation) {
			if c.Status == http.StatusOK {
				made++
			}
		}
		if made != v.succeeded {
			t.Errorf("%s was done %d times for %d renewals", operation, made, v.succeeded)
		}
	}
	t.Logf("killed at %d of %d points, in %d renewals", killed, len(points), v.succeeded)
}
