package sandbox

import (
	"fmt"
	"time"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

type deployedImage struct {
	SpecifiedImage, ResolvedImage string
	ResolutionTime                epoch
}

type variantStatus struct {
	Status    string
	StartTime epoch
}

type variantSummary struct {
	VariantName             string
	DeployedImages          []deployedImage
	CurrentWeight           float64
	DesiredWeight           float64
	CurrentInstanceCount    *int64            `json:",omitzero"`
	DesiredInstanceCount    *int64            `json:",omitzero"`
	InstanceType            string            `json:",omitzero"`
	CurrentServerlessConfig *serverlessConfig `json:",omitzero"`
	DesiredServerlessConfig *serverlessConfig `json:",omitzero"`
	VariantStatus           []variantStatus   `json:",omitzero"`
}

type pendingSummary struct {
	EndpointConfigName string
	ProductionVariants []variantSummary
	StartTime          epoch
}

type captureSummary struct {
	EnableCapture             bool
	CaptureStatus             string
	CurrentSamplingPercentage int64
	DestinationS3Uri          string
	KmsKeyId                  string
}

type endpointDescription struct {
	EndpointName, EndpointArn, EndpointConfigName string
	ProductionVariants                            []variantSummary `json:",omitzero"`
	DataCaptureConfig                             *captureSummary  `json:",omitzero"`
	EndpointStatus                                string
	FailureReason                                 string `json:",omitzero"`
	CreationTime, LastModifiedTime                epoch
	LastDeploymentConfig                          *deploymentConfig `json:",omitzero"`
	PendingDeploymentSummary                      *pendingSummary   `json:",omitzero"`
}

func (f *fleet) summaries(status string, since time.Time, pending bool) []variantSummary {
	var out []variantSummary
	for _, v := range f.variants {
		s := variantSummary{
			VariantName:   v.name,
			CurrentWeight: v.weight, DesiredWeight: v.desiredWeight,
			CurrentServerlessConfig: v.serverless, DesiredServerlessConfig: v.serverless,
			DeployedImages: []deployedImage{{SpecifiedImage: v.image, ResolvedImage: v.image + "@sha256:" + "0000000000000000000000000000000000000000000000000000000000000000", ResolutionTime: epoch(since)}},
		}
		if v.serverless == nil {
			s.CurrentInstanceCount, s.DesiredInstanceCount = &v.count, &v.desiredCount
		}
		if pending {
			s.InstanceType = v.instanceType
		}
		if status != "" {
			s.VariantStatus = []variantStatus{{Status: status, StartTime: epoch(since)}}
		}
		out = append(out, s)
	}
	return out
}

func (s *Server) describeEndpoint(_ *call, in *endpointNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findEndpoint(in.EndpointName)
	if err != nil {
		return nil, err
	}
	out := endpointDescription{
		EndpointName: e.name, EndpointArn: e.arn, EndpointConfigName: e.wanted, EndpointStatus: e.status, FailureReason: e.reason,
		CreationTime: epoch(e.created), LastModifiedTime: epoch(e.modified), LastDeploymentConfig: e.deployment,
	}
	if e.serving != nil {
		out.EndpointConfigName = e.serving.config.name
		out.ProductionVariants = e.serving.summaries("", e.modified, false)
		if c := e.serving.capture; c != nil {
			out.DataCaptureConfig = &captureSummary{c.EnableCapture, "Started", c.InitialSamplingPercentage, c.DestinationS3Uri, c.KmsKeyId}
			if !c.EnableCapture {
				out.DataCaptureConfig.CaptureStatus = "Stopped"
			}
		}
	}
	if r := e.rollout; r != nil && e.status != "UpdateRollbackFailed" {
		out.PendingDeploymentSummary = &pendingSummary{r.next.config.name, r.next.summaries(r.phases[0].variant, r.entered, true), epoch(r.begun)}
	}
	return out, nil
}
