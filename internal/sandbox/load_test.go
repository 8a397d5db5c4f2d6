package sandbox_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"

	"gateway/internal/sandbox"
)

// TestUnderLoadNoCallIsLostWhileModelsChange lets life cycles go by the real
// time: a thousand times as fast as on AWS, so that an update takes a third of
// a second.
func TestUnderLoadNoCallIsLostWhileModelsChange(t *testing.T) {
	var wrong, answered atomic.Int64
	s := startWith(t, sandbox.Options{Pace: sandbox.RealPace().Faster(1000), Observe: func(c sandbox.Call) {
		if c.Operation == "InvokeEndpoint" && (c.Status != 200 || c.Model != c.EndpointConfig) {
			wrong.Add(1)
		}
	}})
	s.data()
	for _, name := range []string{"a", "b"} {
		if _, err := s.sm.CreateTrainingJob(t.Context(), trainingJob(name, linear)); err != nil {
			t.Fatal(err)
		}
		for s.describeJob(name).TrainingJobStatus == "InProgress" { // each look takes its time
		}
		if _, err := s.sm.CreateModel(t.Context(), modelInput(name, linear, "s3://bank/models/"+name+"/output/model.tar.gz")); err != nil {
			t.Fatal(err)
		}
		s.config(name, name)
	}
	if _, err := s.sm.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: aws.String("bank"), EndpointConfigName: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	for s.describe("bank").EndpointStatus != "InService" {
	}
	var load sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				out, err := s.runtime.InvokeEndpoint(t.Context(), &sagemakerruntime.InvokeEndpointInput{EndpointName: aws.String("bank"), ContentType: aws.String("text/csv"), Body: []byte("0.9,0.9")})
				if err != nil || len(out.Body) == 0 {
					t.Errorf("a call was lost: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	s.Order("UpdateEndpoint", sandbox.Fault{Kind: sandbox.RollBackSilently, Skip: 1})
	for i, want := range []string{"b", "b", "a"} { // the second one comes back
		config := []string{"b", "a", "a"}[i]
		s.update("bank", config)
		for s.describe("bank").EndpointStatus != "InService" {
		}
		if got := *s.describe("bank").EndpointConfigName; got != want {
			t.Errorf("update %d ended with %s, want %s", i+1, got, want)
		}
	}
	close(stop)
	load.Wait()
	if wrong.Load() != 0 || answered.Load() == 0 {
		t.Errorf("%d of %d calls went wrong", wrong.Load(), answered.Load())
	}
}
