package sandbox

import (
	"regexp"
	"strings"
)

// Patterns of names in the service model.
var (
	commonName  = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$`)
	modelName   = regexp.MustCompile(`^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?$`)
	channelName = regexp.MustCompile(`^[A-Za-z0-9.\-_]{1,64}$`)
	roleARN     = regexp.MustCompile(`^arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)
	s3URI       = regexp.MustCompile(`^(https|s3)://([^/]+)/?(.*)$`)
)

// shaped returns the error of the service for a value that does not match its pattern.
func shaped(member, value string, shape *regexp.Regexp) error {
	if len(value) > 63 && (shape == commonName || shape == modelName) {
		return validationf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must have length less than or equal to 63", value, member)
	}
	if !shape.MatchString(value) {
		pattern := strings.TrimSuffix(strings.TrimPrefix(shape.String(), "^"), "$")
		return validationf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", value, member, pattern)
	}
	return nil
}

// assumable returns an error for a role that cannot be assumed.
func assumable(member, role string) error {
	if err := shaped(member, role, roleARN); err != nil {
		return err
	}
	if strings.Contains(role, "missing") {
		return validationf("Could not assume role %s. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' to assume the role.", role)
	}
	return nil
}

// arn returns the ARN of a resource of SageMaker. The name is lower case in it.
func arn(kind, name string) string {
	return "arn:aws:sagemaker:" + Region + ":" + Account + ":" + kind + "/" + strings.ToLower(name)
}

func bucketOf(uri string) (bucket, key string, ok bool) {
	m := s3URI.FindStringSubmatch(uri)
	if m == nil || m[1] != "s3" {
		return "", "", false
	}
	return m[2], m[3], true
}
