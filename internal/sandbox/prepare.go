package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Prepare makes a bucket and a table of customers with point-in-time recovery, in the
// stand-in or in its backend, unless they exist.
func (s *Server) Prepare(ctx context.Context, bucket, table string) error {
	_, err := s.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: Region}})
	var owned *types.BucketAlreadyOwnedByYou
	if err != nil && !errors.As(err, &owned) {
		return fmt.Errorf("making the bucket %s: %w", bucket, err)
	}
	if s.database(ctx, "DescribeTable", tableNamed{table}, new(any)) != nil {
		create := struct {
			tableInput  `json:",inline"`
			BillingMode string
		}{tableInput{table, []keySchema{{"customer_id", "HASH"}}, []attributeDefinition{{"customer_id", "S"}}}, "PAY_PER_REQUEST"}
		if err := s.database(ctx, "CreateTable", create, new(any)); err != nil {
			return fmt.Errorf("making the table %s: %w", table, err)
		}
	}
	in := backupsInput{TableName: table}
	in.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled = true
	if err := s.database(ctx, "UpdateContinuousBackups", in, new(any)); err != nil {
		return fmt.Errorf("turning point-in-time recovery of %s on: %w", table, err)
	}
	return nil
}

// Variable is an environment variable.
type Variable struct{ Name, Value string }

// Environment returns the variables that an AWS SDK of any language needs to use the stand-in.
// The credentials are required and not checked.
func (s *Server) Environment() []Variable {
	return []Variable{
		{"AWS_ENDPOINT_URL", s.URL},
		{"AWS_REGION", Region},
		{"AWS_DEFAULT_REGION", Region}, // for Python's SDK and the CLI
		{"AWS_ACCESS_KEY_ID", accessKey},
		{"AWS_SECRET_ACCESS_KEY", secretKey},
		{"AWS_EC2_METADATA_DISABLED", "true"},
	}
}
