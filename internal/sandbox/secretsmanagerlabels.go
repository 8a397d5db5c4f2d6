package sandbox

import (
	"encoding/base64"
	"strings"
	"time"
)

type storedSecret struct {
	name     string
	deleted  bool
	versions map[string]*secretVersion // by id
	labels   map[string]string         // id by label
	rotation rotation
}

type secretVersion struct {
	text    *string
	binary  []byte
	created time.Time
}

const secretARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"

// find returns the secret with a name or an ARN, or nil.
func (m *SecretsManager) find(id string) *storedSecret {
	if rest, ok := strings.CutPrefix(id, secretARN); ok {
		id = strings.TrimSuffix(rest, "-AbCdEf")
	}
	return m.secrets[id]
}

func (m *SecretsManager) create(req *secretRequest) (map[string]any, error) {
	if m.secrets[req.Name] != nil {
		return nil, secretRefusal("ResourceExistsException", "The operation failed because the secret %s already exists.", req.Name)
	}
	s := &storedSecret{name: req.Name, versions: map[string]*secretVersion{}, labels: map[string]string{}}
	m.secrets[req.Name] = s
	if req.SecretString == nil && req.SecretBinary == "" {
		return s.named(nil), nil
	}
	return s.put(req)
}

func (s *storedSecret) named(more map[string]any) map[string]any {
	answer := map[string]any{"ARN": secretARN + s.name + "-AbCdEf", "Name": s.name}
	for k, v := range more {
		answer[k] = v
	}
	return answer
}

func (s *storedSecret) get(req *secretRequest) (map[string]any, error) {
	id, label := req.VersionID, req.VersionStage
	if id == "" {
		if label == "" {
			label = "AWSCURRENT"
		}
		if id = s.labels[label]; id == "" {
			return nil, secretRefusal("ResourceNotFoundException",
				"Secrets Manager can't find the specified secret value for staging label: %s", label)
		}
	} else if label != "" && s.labels[label] != id {
		return nil, secretRefusal("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
	}
	v := s.versions[id]
	if v == nil {
		return nil, secretRefusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", id)
	}
	answer := map[string]any{"VersionId": id, "VersionStages": s.labelsOf(id), "CreatedDate": epochSeconds(v.created)}
	if v.text != nil {
		answer["SecretString"] = *v.text
	} else {
		answer["SecretBinary"] = base64.StdEncoding.EncodeToString(v.binary)
	}
	return s.named(answer), nil
}

func (s *storedSecret) labelsOf(id string) []string {
	var labels []string
	for label, holder := range s.labels {
		if holder == id {
			labels = append(labels, label)
		}
	}
	return labels
}

func (s *storedSecret) put(req *secretRequest) (map[string]any, error) {
	id := req.ClientRequestToken
	if len(id) < 32 || len(id) > 64 {
		return nil, secretRefusal("InvalidParameterException", "The parameter ClientRequestToken must have 32 to 64 characters.")
	}
	v := &secretVersion{text: req.SecretString, created: time.Now()}
	if v.text == nil {
		var err error
		if v.binary, err = base64.StdEncoding.DecodeString(req.SecretBinary); err != nil || len(v.binary) == 0 {
			return nil, secretRefusal("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
		}
	}
	if old := s.versions[id]; old != nil {
		if v.text == nil || old.text == nil || *old.text != *v.text {
			return nil, secretRefusal("ResourceExistsException", "You can't modify an existing version, you can only create a new version.")
		}
		v = old
	}
	s.versions[id] = v
	stages := req.VersionStages
	if len(stages) == 0 {
		stages = []string{"AWSCURRENT"}
	}
	for _, label := range stages {
		s.label(label, id)
	}
	return s.named(map[string]any{"VersionId": id, "VersionStages": s.labelsOf(id)}), nil
}

// label moves a staging label to a version. The version that loses AWSCURRENT gets
// AWSPREVIOUS.
func (s *storedSecret) label(label, id string) {
	if before := s.labels["AWSCURRENT"]; label == "AWSCURRENT" && before != "" && before != id {
		s.labels["AWSPREVIOUS"] = before
	}
	s.labels[label] = id
}

func (s *storedSecret) move(req *secretRequest) (map[string]any, error) {
	holder := s.labels[req.VersionStage]
	switch {
	case req.MoveToVersionID != "" && s.versions[req.MoveToVersionID] == nil:
		return nil, secretRefusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret version: %s", req.MoveToVersionID)
	case holder != "" && holder != req.MoveToVersionID && holder != req.RemoveFromVersion:
		return nil, secretRefusal("InvalidParameterException",
			"The parameter RemoveFromVersionId can't be empty or different from the version that the label is attached to.")
	case req.MoveToVersionID == "":
		delete(s.labels, req.VersionStage)
	default:
		s.label(req.VersionStage, req.MoveToVersionID)
	}
	return s.named(nil), nil
}

// epochSeconds returns a time in the format of the protocol.
func epochSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
