package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Only the local platform can choose the algorithm.
func TestTheDefaultAlgorithmIsThePlatforms(t *testing.T) {
	t.Setenv("GATEWAY_TRAINING_ALGORITHM", "")
	cfg, err := Load()
	if err != nil || cfg.Training.Algorithm != "auto" {
		t.Errorf("local: got %q (%v), want auto", cfg.Training.Algorithm, err)
	}
	t.Setenv("GATEWAY_TRAINING_HYPERPARAMETERS", "wd:0.1,max_depth:3")
	if _, err := Load(); err != nil {
		t.Errorf("auto refused hyperparameters of its algorithms: %v", err)
	}
	t.Setenv("GATEWAY_TRAINING_HYPERPARAMETERS", "max_dept:3")
	if _, err := Load(); err == nil || !strings.Contains(err.Error(), `did you mean "max_depth"?`) {
		t.Errorf("got %v, want a suggestion", err)
	}
	t.Setenv("GATEWAY_TRAINING_HYPERPARAMETERS", "")
	for name, value := range map[string]string{"AWS_REGION": "eu-central-1", "GATEWAY_PLATFORM": "sagemaker", "GATEWAY_S3_BUCKET": "b",
		"GATEWAY_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/r"} {
		t.Setenv(name, value)
	}
	if cfg, err = Load(); err != nil || cfg.Training.Algorithm != "linear-learner" {
		t.Errorf("sagemaker: got %q (%v), want linear-learner", cfg.Training.Algorithm, err)
	}
	t.Setenv("GATEWAY_TRAINING_ALGORITHM", "auto")
	if _, err = Load(); err == nil || !strings.Contains(err.Error(), "GATEWAY_TRAINING_ALGORITHM") {
		t.Errorf("sagemaker took auto: %v", err)
	}
}

// TestConversionInAthenaIsForSageMaker: on local it is refused, with the setting's name.
func TestConversionInAthenaIsForSageMaker(t *testing.T) {
	t.Setenv("GATEWAY_TRANSFORM", "athena")
	if _, err := Load(); err == nil || err.Error() != "GATEWAY_TRANSFORM: athena is for GATEWAY_PLATFORM=sagemaker" {
		t.Errorf("local: %v", err)
	}
	for name, value := range map[string]string{"AWS_REGION": "eu-central-1", "GATEWAY_PLATFORM": "sagemaker", "GATEWAY_S3_BUCKET": "b",
		"GATEWAY_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/r"} {
		t.Setenv(name, value)
	}
	if cfg, err := Load(); err != nil || cfg.Transform != TransformAthena {
		t.Errorf("sagemaker: %q (%v)", cfg.Transform, err)
	}
}

// TestEncodingByTheLabelIsForLocal: SageMaker's algorithms cannot compute statistics
// within folds.
func TestEncodingByTheLabelIsForLocal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.yaml")
	text := "name: shop\nid: id\nlabel: {name: y, positive: [1], negative: [0]}\nfeatures:\n  - {name: old, type: category, values: [a], encode: target, exclude: true}\n  - {name: merchant, type: category, values: [a, b], encode: target}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	local, aws := Config{}, Config{}
	local.Schema, local.Platform, aws.Schema, aws.Platform = file, Local, file, SageMaker
	if s, err := local.LoadSchema(); err != nil || len(s.CodedColumns()) != 1 {
		t.Errorf("local: %v", err)
	}
	if _, err := aws.LoadSchema(); err == nil || !strings.Contains(err.Error(), `feature "merchant": encode: target is for GATEWAY_PLATFORM=local`) || !strings.Contains(err.Error(), file) {
		t.Errorf("sagemaker: %v", err)
	}
}
