package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// SecretsFault is a fault of a SecretsManager.
type SecretsFault string

// The faults of a SecretsManager.
const (
	SecretsWork     SecretsFault = ""         // none
	SecretsThrottle SecretsFault = "throttle" // too many requests
	SecretsFail     SecretsFault = "fail"     // an internal error
	SecretsSlow     SecretsFault = "slow"     // no answer while the fault lasts
	SecretsGarbage  SecretsFault = "garbage"  // HTML with status 200
	SecretsEmpty    SecretsFault = "empty"    // JSON without a secret
	SecretsDown     SecretsFault = "down"     // the connection is closed
	SecretsDeny     SecretsFault = "deny"     // no permission
)

// SecretsManager is a stand-in for AWS Secrets Manager: an http.Handler with its protocol
// (JSON 1.1) and its rules for staging labels. It has the operations CreateSecret,
// PutSecretValue, GetSecretValue, DescribeSecret, UpdateSecretVersionStage, DeleteSecret,
// RotateSecret and CancelRotateSecret.
type SecretsManager struct {
	mu      sync.Mutex
	secrets map[string]*storedSecret // by name
	fault   SecretsFault
	lifted  chan struct{} // closed when the fault changes
	reads   int
	noLabel int

	rotations rotations
}

// NewSecretsManager returns a stand-in without secrets.
func NewSecretsManager() *SecretsManager {
	m := &SecretsManager{secrets: map[string]*storedSecret{}, lifted: make(chan struct{}),
		rotations: rotations{speed: 1, functions: map[string]*Function{}}}
	m.rotations.ctx, m.rotations.stop = context.WithCancel(context.Background())
	return m
}

// Fault sets the fault that all calls have from now on.
func (m *SecretsManager) Fault(f SecretsFault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
	close(m.lifted)
	m.lifted = make(chan struct{})
}

// Reads returns the number of calls of GetSecretValue, with those that failed, and the number
// of those without a staging label or version.
func (m *SecretsManager) Reads() (all, withoutLabel int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads, m.noLabel
}

// secretRequest has the members of the requests of all operations.
type secretRequest struct {
	SecretID           string `json:"SecretId"`
	Name               string
	VersionID          string `json:"VersionId"`
	VersionStage       string
	VersionStages      []string
	ClientRequestToken string
	SecretString       *string
	SecretBinary       string
	MoveToVersionID    string `json:"MoveToVersionId"`
	RemoveFromVersion  string `json:"RemoveFromVersionId"`
	RotationLambdaARN  string
	RotationRules      *rotationRules
	RotateImmediately  *bool
}

// secretFailure is an error of the service.
type secretFailure struct {
	status        int
	code, message string
}

func (f *secretFailure) Error() string { return f.code + ": " + f.message }

func secretRefusal(code, format string, args ...any) *secretFailure {
	return &secretFailure{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (m *SecretsManager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	var req secretRequest
	if r.Method != http.MethodPost || !ok || json.Unmarshal(body, &req) != nil {
		writeSecrets(w, nil, secretRefusal("SerializationException", "not a request to Secrets Manager"))
		return
	}
	if operation == "GetSecretValue" {
		m.mu.Lock()
		m.reads++
		if req.VersionStage == "" && req.VersionID == "" {
			m.noLabel++
		}
		m.mu.Unlock()
	}
	if m.misbehave(w, r) {
		return
	}
	m.mu.Lock()
	answer, err := m.do(operation, &req)
	m.mu.Unlock()
	writeSecrets(w, answer, err)
}

// misbehave answers with the fault. It returns false if there is none.
func (m *SecretsManager) misbehave(w http.ResponseWriter, r *http.Request) bool {
	for {
		m.mu.Lock()
		fault, lifted := m.fault, m.lifted
		m.mu.Unlock()
		switch fault {
		case SecretsSlow:
			select {
			case <-lifted:
				continue
			case <-r.Context().Done():
				return true
			}
		case SecretsThrottle:
			writeSecrets(w, nil, secretRefusal("ThrottlingException", "Rate exceeded"))
		case SecretsDeny:
			writeSecrets(w, nil, secretRefusal("AccessDeniedException", "User is not authorized to perform: secretsmanager:GetSecretValue"))
		case SecretsFail:
			writeSecrets(w, nil, &secretFailure{http.StatusInternalServerError, "InternalServiceError", "An internal error occurred"})
		case SecretsGarbage:
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html><body>Welcome to the proxy</body></html>")
		case SecretsEmpty:
			writeSecrets(w, map[string]any{}, nil)
		case SecretsDown:
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}
}

func writeSecrets(w http.ResponseWriter, answer map[string]any, err error) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	status := http.StatusOK
	if f, failed := err.(*secretFailure); failed { //nolint:errorlint // it is made in this package and never wrapped
		w.Header().Set("X-Amzn-ErrorType", f.code)
		answer, status = map[string]any{"__type": f.code, "message": f.message}, f.status
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// do is called with mu held.
func (m *SecretsManager) do(operation string, req *secretRequest) (map[string]any, error) {
	if operation == "CreateSecret" {
		return m.create(req)
	}
	s := m.find(req.SecretID)
	if s == nil {
		return nil, secretRefusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	if s.deleted && operation != "DescribeSecret" {
		return nil, secretRefusal("InvalidRequestException",
			"You can't perform this operation on the secret because it was marked for deletion.")
	}
	switch operation {
	case "GetSecretValue":
		return s.get(req)
	case "PutSecretValue":
		return s.put(req)
	case "UpdateSecretVersionStage":
		return s.move(req)
	case "DescribeSecret":
		return s.describe(), nil
	case "RotateSecret":
		return m.rotate(s, req)
	case "CancelRotateSecret":
		return s.cancelRotation()
	case "DeleteSecret":
		s.deleted = true
		return s.named(map[string]any{"DeletionDate": epochSeconds(time.Now().AddDate(0, 0, 30))}), nil
	}
	return nil, secretRefusal("UnknownOperationException", "%s", operation)
}
