package sandbox

import (
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// invoke is the only operation of SageMaker's runtime that the stand-in has.
const invoke = "InvokeEndpoint"

var invocationPath = regexp.MustCompile(`^/endpoints/([^/]+)/invocations$`)

// identify returns the service and the operation of a request. All services share one port;
// the scope of the signature names the service.
func (s *Server) identify(r *http.Request) *call {
	c := &call{request: r, header: r.Header}
	c.Call = Call{
		At: s.clock.Now(), Invocation: r.Header.Get("Amz-Sdk-Invocation-Id"), Attempt: attempt(r.Header.Get("Amz-Sdk-Request")),
		ContentType: r.Header.Get("Content-Type"),
	}
	_, c.Service = scope(r)
	target := r.Header.Get("X-Amz-Target")
	switch prefix, operation, found := strings.Cut(target, "."); {
	case found:
		c.Operation = operation
		switch strings.ToLower(prefix) {
		case "sagemaker":
			c.Service = "sagemaker"
		case "secretsmanager":
			c.Service = "secretsmanager"
		case "amazonathena":
			c.Service = "athena"
		default:
			if strings.HasPrefix(prefix, "DynamoDB_") {
				c.Service = "dynamodb"
			}
		}
	case c.Service == "sagemaker" || c.Service == "" && invocationPath.MatchString(r.URL.Path):
		c.Service = "sagemaker"
		if m := invocationPath.FindStringSubmatch(r.URL.Path); m != nil && r.Method == http.MethodPost {
			c.Operation, c.Resource = invoke, m[1]
			c.InferenceID = r.Header.Get("X-Amzn-Sagemaker-Inference-Id")
			c.CustomAttributes = r.Header.Get("X-Amzn-Sagemaker-Custom-Attributes")
		}
	default:
		c.Service = "s3"
		bucket, key := bucketAndKey(r)
		c.Operation = s3Operation(r, bucket, key)
		c.Resource = strings.TrimSuffix(bucket+"/"+key, "/")
	}
	return c
}

// scope returns the region and the service that a request was signed for. A credential is
// key/date/region/service/aws4_request.
func scope(r *http.Request) (region, service string) {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if credential == "" {
		_, credential, _ = strings.Cut(r.Header.Get("Authorization"), "Credential=")
		credential, _, _ = strings.Cut(credential, ",")
	}
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return "", ""
	}
	return parts[2], parts[3]
}

// unsigned returns an error for a request without a signature, or with one for another
// region. It does not verify the signature.
func unsigned(r *http.Request) *Error {
	region, service := scope(r)
	switch {
	case service == "":
		return &Error{Status: http.StatusForbidden, Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"}
	case region != Region && service != "s3" && service != "sts":
		return &Error{Status: http.StatusForbidden, Code: "InvalidSignatureException", Message: "Credential should be scoped to a valid region: the stand-in is in " + Region + ", not in " + region + "."}
	}
	return nil
}

// named returns the name of the resource in a request.
func named(body []byte) string {
	var in map[string]jsontext.Value
	if json.Unmarshal(body, &in) != nil {
		return ""
	}
	for _, member := range []string{"TrainingJobName", "TransformJobName", "EndpointName", "EndpointConfigName", "ModelName", "TableName", "TableArn", "ExportArn", "ResourceArn", "SecretId", "QueryExecutionId", "Name"} {
		var name string
		if json.Unmarshal(in[member], &name) == nil && name != "" {
			return name
		}
	}
	var sql string
	if json.Unmarshal(in["QueryString"], &sql) == nil {
		return statement(sql)
	}
	return ""
}

// bucketAndKey parses a path-style address, or a virtual-hosted one if the host is a name such
// as bucket.s3.region.amazonaws.com or bucket.localhost.
func bucketAndKey(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if net.ParseIP(host) == nil {
		if b, ok := strings.CutSuffix(host, ".localhost"); ok {
			return b, path
		}
		if b, _, ok := strings.Cut(host, ".s3."); ok {
			return b, path
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// errorAnswer writes an error in the protocol of the call.
func errorAnswer(c *call, e *Error) *answer {
	if c.Service == "s3" {
		return s3Error(c, e)
	}
	contentType := "application/x-amz-json-1.1"
	switch {
	case c.Operation == invoke:
		contentType = "application/json"
	case c.Service == "dynamodb":
		contentType = "application/x-amz-json-1.0"
	}
	return jsonError(e, contentType)
}

func marshal(v any) []byte {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err) // answers are types of this package, which can be encoded
	}
	return text
}
