package aws

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// haltClient suspends a process before its n-th request that matches.
type haltClient struct {
	sdk.HTTPClient
	matches func(*http.Request) bool
	n       int
	reached chan struct{}
	release chan struct{}

	mu    sync.Mutex
	count int
}

func (h *haltClient) Do(r *http.Request) (*http.Response, error) {
	if h.matches(r) {
		h.mu.Lock()
		h.count++
		here := h.count == h.n
		h.mu.Unlock()
		if here {
			close(h.reached)
			<-h.release
		}
	}
	return h.HTTPClient.Do(r)
}

// call returns a match for a call of SageMaker or a write of the file with the newest order.
func call(name string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		if name == "PutObject" {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/deployments/")
		}
		return strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+name)
	}
}

// stopped makes a deployer of another process, which is suspended before its n-th call.
func (s *stand) stopped(name string, n int) (*Deployer, *haltClient) {
	s.t.Helper()
	cfg := s.Config()
	client := cfg.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	h := &haltClient{HTTPClient: client, matches: call(name), n: n, reached: make(chan struct{}), release: make(chan struct{})}
	cfg.HTTPClient, cfg.Retryer = h, hurriedRetryer
	api, err := NewClients(cfg)
	s.must(err)
	mine := *s
	mine.api = api
	mine.wire(s.schema)
	s.t.Cleanup(func() {
		select {
		case <-h.release:
		default:
			close(h.release)
		}
	})
	return mine.deployer, h
}

// soon makes an order that SageMaker may not have received count as lost at once.
func (s *stand) soon() { s.deployer.timing.Grace = time.Nanosecond }

func renewalsChange(model string, over modelswap.Serving, claim int64) modelswap.Change {
	return modelswap.Change{Model: model, Over: over, By: modelswap.Fence{Renewal: "r", Revision: claim}}
}

// begin starts do and waits until its process is suspended.
func (h *haltClient) begin(t *testing.T, do func() error) (end <-chan error) {
	t.Helper()
	out := make(chan error, 1)
	go func() { out <- do() }()
	select {
	case <-h.reached:
	case err := <-out:
		t.Fatalf("it ended before it was stopped: %v", err)
	}
	return out
}

// TestAnOrderThatComesLateChangesNothing suspends a process before each write of a deployment.
// Another process finishes the renewal, an operator rolls back, and then the first process
// continues.
func TestAnOrderThatComesLateChangesNothing(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		name string
		n    int
	}{{"CreateEndpointConfig", 1}, {"PutObject", 1}, {"UpdateEndpoint", 1}, {"PutObject", 2}} {
		for _, end := range []string{"rolled back", "cancelled"} {
			if at.n == 2 && end == "cancelled" {
				continue // the order was given: the cancel waits for its end and then puts back, as in the other case
			}
			t.Run(at.name+" "+string(rune('0'+at.n))+", "+end, func(t *testing.T) {
				s := start(t)
				s.train("first", "linear-learner", 300)
				s.deploy("first")
				s.train("second", "linear-learner", 400)
				over, err := s.deployer.Serving(t.Context())
				s.must(err)
				late, halt := s.stopped(at.name, at.n)
				result := halt.begin(t, func() error {
					_, err := late.DeployModel(t.Context(), renewalsChange("second", over, 1))
					return err
				})
				s.soon()
				s.Advance(time.Hour)
				s.must(s.deployer.HoldServing(t.Context(), renewalsChange("second", over, 2)))
				if end == "rolled back" {
					_, err = s.deployer.DeployModel(t.Context(), renewalsChange("second", over, 2))
					s.must(err)
					s.Advance(time.Hour)
					s.serves("second", false)
					s.deploy("first")
				}
				before := s.describe()
				close(halt.release)
				if err := <-result; err == nil && at.name != "PutObject" {
					t.Error("the late process thinks that it has deployed the model")
				}
				s.Advance(time.Hour)
				s.serves("first", false)
				if after := s.describe(); *after.EndpointConfigName != *before.EndpointConfigName || !after.LastModifiedTime.Equal(*before.LastModifiedTime) {
					t.Errorf("the endpoint changed from %s to %s", *before.EndpointConfigName, *after.EndpointConfigName)
				}
				// The next renewal finds nothing in its way.
				s.train("third", "linear-learner", 500)
				s.deploy("third")
			})
		}
	}
}

// TestAnOrderOfADeadProcessIsGivenAnew ends a process before and after SageMaker has received its
// order.
func TestAnOrderOfADeadProcessIsGivenAnew(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		name string
		n    int
	}{{"UpdateEndpoint", 1}, {"PutObject", 2}} {
		t.Run(at.name, func(t *testing.T) {
			s := start(t)
			s.train("first", "linear-learner", 300)
			s.deploy("first")
			s.train("second", "linear-learner", 400)
			over, err := s.deployer.Serving(t.Context())
			s.must(err)
			dead, halt := s.stopped(at.name, at.n)
			halt.begin(t, func() error {
				_, err := dead.DeployModel(t.Context(), renewalsChange("second", over, 1))
				return err
			})
			s.must(s.deployer.HoldServing(t.Context(), renewalsChange("second", over, 2)))
			_, err = s.deployer.DeployModel(t.Context(), renewalsChange("second", over, 2))
			s.must(err)
			s.Advance(time.Hour)
			s.serves("second", false)
			if n := s.Count("UpdateEndpoint"); n != 1 {
				t.Errorf("SageMaker got %d orders, want one", n)
			}
			configs, err := s.api.sagemaker.ListEndpointConfigs(t.Context(), &sagemaker.ListEndpointConfigsInput{NameContains: sdk.String("second")})
			if err != nil || len(configs.EndpointConfigs) != 1 {
				t.Errorf("the model has %d configurations (%v), want one", len(configs.EndpointConfigs), err)
			}
		})
	}
}

// TestARemovalThatComesLateTakesNothingThatServes suspends a process before each call by which it
// removes a model, while an operator rolls back to that model.
func TestARemovalThatComesLateTakesNothingThatServes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AddTags", "DeleteEndpointConfig", "DeleteModel"} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.train("first", "linear-learner", 300)
			s.deploy("first")
			s.train("second", "linear-learner", 400)
			s.deploy("second")
			late, halt := s.stopped(name, 1)
			result := halt.begin(t, func() error { return late.RemoveModel(t.Context(), "first") })
			ordered := s.order("first")
			s.Advance(time.Hour)
			close(halt.release)
			removed := <-result
			switch {
			case name == "AddTags" && (ordered != nil || !isKind(removed, failure.Conflict)):
				t.Errorf("the order gave %v and the late removal %v; want the order, and a conflict", ordered, removed)
			case name != "AddTags" && (!isKind(ordered, failure.Conflict) || removed != nil):
				t.Errorf("the order gave %v and the removal %v; want a conflict, and the removal", ordered, removed)
			}
			want := "second"
			if ordered == nil {
				want = "first"
			}
			s.serves(want, false)
			if _, err := s.score(3); err != nil {
				t.Errorf("predictions fail: %v", err)
			}
			s.train("third", "linear-learner", 500)
			s.deploy("third") // SageMaker needs the configuration that serves
			if ordered == nil {
				s.deploy("first")
			}
		})
	}
}

func TestAnEndpointThatWasLookedAtLongAgoIsNotDeleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 300)
	s.deploy("first")
	old := *s.endpoint.view.Load()
	old.at = old.at.Add(-time.Minute)
	isFault(t, s.deployer.removeFailed(t.Context(), &old), modelswap.Transient, "too old to delete the endpoint")
	if n := s.Count("DeleteEndpoint"); n != 0 {
		t.Errorf("the endpoint was deleted %d times", n)
	}
}
