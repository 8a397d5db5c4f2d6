package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// transformJob is a batch transform job. It lasts Starting and Training of the pace and then
// scores its rows.
type transformJob struct {
	name, arn string
	created   time.Time
	ended     time.Time
	in        *transformInput
	status    string
	reason    string
	fault     *Ordered
	running   bool // a goroutine scores the rows
}

type transformInput struct {
	TransformJobName string
	ModelName        string
	TransformInput   *struct {
		ContentType, SplitType string
		DataSource             *struct {
			S3DataSource *struct{ S3DataType, S3Uri string }
		}
	}
	TransformOutput    *struct{ S3OutputPath, Accept, AssembleWith string }
	TransformResources *struct {
		InstanceType  string
		InstanceCount int64
	}
	BatchStrategy  string
	MaxPayloadInMB int64
	Tags           []tag

	echo map[string]jsontext.Value
}

// UnmarshalJSON decodes the request and also keeps it.
func (in *transformInput) UnmarshalJSON(text []byte) error {
	type plain transformInput
	if err := json.Unmarshal(text, (*plain)(in)); err != nil {
		return err
	}
	return json.Unmarshal(text, &in.echo)
}

func (in *transformInput) check() error {
	if err := shaped("transformJobName", in.TransformJobName, commonName); err != nil {
		return err
	}
	missing := func(member string) error {
		return validationf("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
	}
	switch {
	case in.TransformInput == nil || in.TransformInput.DataSource == nil || in.TransformInput.DataSource.S3DataSource == nil:
		return missing("transformInput.dataSource.s3DataSource")
	case in.TransformOutput == nil:
		return missing("transformOutput")
	case in.TransformResources == nil:
		return missing("transformResources")
	case in.TransformResources.InstanceCount < 1:
		return validationf("1 validation error detected: Value '%d' at 'transformResources.instanceCount' failed to satisfy constraint: Member must have value greater than or equal to 1", in.TransformResources.InstanceCount)
	}
	for _, uri := range []string{in.TransformInput.DataSource.S3DataSource.S3Uri, in.TransformOutput.S3OutputPath} {
		if _, _, ok := bucketOf(uri); !ok {
			return shaped("s3Uri", uri, s3URI)
		}
	}
	return checkTags(in.Tags)
}

func (s *Server) createTransformJob(c *call, in *transformInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transforms[in.TransformJobName] != nil {
		return nil, refusef("ResourceInUse", "Job name must be unique within an AWS account and region, and a job with this name already exists (%s)", arn("transform-job", in.TransformJobName))
	}
	if _, err := s.findModel(in.ModelName); err != nil {
		return nil, err
	}
	j := &transformJob{name: in.TransformJobName, arn: arn("transform-job", in.TransformJobName), created: s.clock.Now(), in: in,
		status: "InProgress", fault: c.fault}
	s.transforms[j.name] = j
	s.put(j.arn, in.Tags)
	return struct{ TransformJobArn string }{j.arn}, nil
}

type transformNamed struct{ TransformJobName string }

func (s *Server) findTransform(name string) (*transformJob, error) {
	if j := s.transforms[name]; j != nil {
		return j, nil
	}
	return nil, validationf("Could not find requested job with name: %s", name)
}

func (s *Server) stopTransformJob(_ *call, in *transformNamed) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.findTransform(in.TransformJobName)
	if err != nil {
		return nil, err
	}
	if j.status != "InProgress" {
		return nil, validationf("The request was rejected because the transform job is in status %s.", j.status)
	}
	j.status, j.ended = "Stopped", s.clock.Now()
	return none{}, nil
}

// describeTransformJob answers with the request and the state of the job.
func (s *Server) describeTransformJob(_ *call, in *transformNamed) (any, error) {
	s.mu.Lock()
	j, err := s.findTransform(in.TransformJobName)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	due := !s.clock.Now().Before(j.created.Add(s.pace.Starting + s.pace.Training))
	stuck := j.fault != nil && j.fault.Kind == Stick && j.fault.sticks()
	work := j.status == "InProgress" && due && !stuck && !j.running
	j.running = j.running || work
	s.mu.Unlock()
	if work {
		err := s.transform(j)
		s.mu.Lock()
		j.running, j.ended = false, s.clock.Now()
		if j.status = "Completed"; err != nil {
			j.status, j.reason = "Failed", shorten(err.Error(), 1024)
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]any{}
	for name, value := range j.in.echo {
		if name != "Tags" {
			out[name] = value
		}
	}
	out["TransformJobArn"], out["TransformJobStatus"], out["CreationTime"] = j.arn, j.status, epoch(j.created)
	if !j.ended.IsZero() {
		out["TransformEndTime"] = epoch(j.ended)
	}
	if j.reason != "" {
		out["FailureReason"] = j.reason
	}
	return out, nil
}

// transform scores all files of the input. The text of an error is the FailureReason of the
// job.
func (s *Server) transform(j *transformJob) error {
	if f := j.fault; f != nil {
		switch f.Kind {
		case Fail:
			return errors.New(cmp.Or(f.Reason, "AlgorithmError: See job logs for more information"))
		case NoCapacity:
			return fmt.Errorf("%s", noCapacity)
		}
	}
	s.mu.Lock()
	m, err := s.findModel(j.in.ModelName)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("ClientError: %w", err)
	}
	container := m.in.PrimaryContainer
	artifact, err := s.load(s.ctx, container.ModelDataUrl)
	if err != nil {
		return fmt.Errorf("ClientError: model data: %w", err)
	}
	v := &variant{scorer: artifact, joined: joinsScores(container.Image)}
	source := j.in.TransformInput.DataSource.S3DataSource
	bucket, prefix, _ := bucketOf(source.S3Uri)
	page, err := s.s3.ListObjectsV2(s.ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	if err != nil || len(page.Contents) == 0 {
		return fmt.Errorf("ClientError: no objects under %s: %w", source.S3Uri, err)
	}
	for _, o := range page.Contents {
		if err := s.transformFile(s.ctx, j, v, bucket, *o.Key); err != nil {
			return err
		}
	}
	return nil
}

// transformRows is the number of records in a request to the container.
const transformRows = 500

func (s *Server) transformFile(ctx context.Context, j *transformJob, v *variant, bucket, key string) error {
	file, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return fmt.Errorf("ClientError: %w", err)
	}
	defer file.Body.Close()
	text, err := io.ReadAll(file.Body)
	if err != nil {
		return fmt.Errorf("ClientError: %w", err)
	}
	c := &call{header: http.Header{"Accept": {j.in.TransformOutput.Accept}}}
	c.ContentType = j.in.TransformInput.ContentType
	records := bytes.SplitAfter(text, []byte("\n"))
	if j.in.TransformInput.SplitType != "Line" {
		records = [][]byte{text}
	}
	var out bytes.Buffer
	for len(records) > 0 {
		n := min(len(records), transformRows)
		batch := bytes.Join(records[:n], nil)
		records = records[n:]
		if len(bytes.TrimSpace(batch)) == 0 {
			continue
		}
		rows, bad := readRows(c, batch, v)
		var a *answer
		if bad == nil {
			a, bad = predictions(c, rows, v)
		}
		if bad != nil {
			return fmt.Errorf("ClientError: See job logs for more information (%d: %s)", bad.Status, bad.Message)
		}
		out.Write(bytes.TrimRight(a.body, "\n"))
		if j.in.TransformOutput.AssembleWith == "Line" {
			out.WriteByte('\n')
		}
	}
	to, folder, _ := bucketOf(j.in.TransformOutput.S3OutputPath)
	target := strings.TrimPrefix(path.Join(folder, path.Base(key)+".out"), "/")
	_, err = s.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &to, Key: &target, Body: bytes.NewReader(out.Bytes())})
	return err
}
