package api

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestTheMetricOfDependenciesSaysWhatReadinessSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model, database := &dependency{}, &dependency{}
		r := newReadiness([]Dependency{{"model", true, model.check}, {"database", false, database.check}}, slog.New(slog.DiscardHandler))
		registry := prometheus.NewRegistry()
		registry.MustRegister(dependencyUp{r})
		expect := func(model, database string) {
			t.Helper()
			time.Sleep(readyCache)
			err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP gateway_dependency_up 1 for a dependency that works, 0 for one that does not, as on /readyz. Without a required dependency the gateway cannot predict.
# TYPE gateway_dependency_up gauge
gateway_dependency_up{dependency="database",required="false"} `+database+`
gateway_dependency_up{dependency="model",required="true"} `+model+`
`))
			if err != nil {
				t.Error(err)
			}
		}
		expect("1", "1")
		database.fail(errors.New("down"))
		expect("1", "0")
		model.fail(errors.New("gone"))
		database.fail(nil)
		expect("0", "1")
		if n := model.calls.Load(); n != 3 {
			t.Errorf("the model was looked at %d times, want once for each request", n)
		}
	})
}
