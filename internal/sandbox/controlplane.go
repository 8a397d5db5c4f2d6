package sandbox

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// controlPlane are the operations of SageMaker's control plane. Each function locks the
// server itself.
var controlPlane map[string]operation

// database are the operations of DynamoDB.
var database map[string]operation

func init() {
	// In init, because the operations and the server refer to each other.
	controlPlane = map[string]operation{
		"CreateTrainingJob":   typed((*Server).createTrainingJob),
		"DescribeTrainingJob": typed((*Server).describeTrainingJob),
		"StopTrainingJob":     typed((*Server).stopTrainingJob),
		"DeleteTrainingJob":   typed((*Server).deleteTrainingJob),
		"ListTrainingJobs":    typed((*Server).listTrainingJobs),

		"CreateTransformJob":   typed((*Server).createTransformJob),
		"DescribeTransformJob": typed((*Server).describeTransformJob),
		"StopTransformJob":     typed((*Server).stopTransformJob),

		"CreateModel":            typed((*Server).createModel),
		"DescribeModel":          typed((*Server).describeModel),
		"DeleteModel":            typed((*Server).deleteModel),
		"ListModels":             typed((*Server).listModels),
		"CreateEndpointConfig":   typed((*Server).createEndpointConfig),
		"DescribeEndpointConfig": typed((*Server).describeEndpointConfig),
		"DeleteEndpointConfig":   typed((*Server).deleteEndpointConfig),
		"ListEndpointConfigs":    typed((*Server).listEndpointConfigs),

		"CreateEndpoint":                     typed((*Server).createEndpoint),
		"DescribeEndpoint":                   typed((*Server).describeEndpoint),
		"UpdateEndpoint":                     typed((*Server).updateEndpoint),
		"UpdateEndpointWeightsAndCapacities": typed((*Server).updateWeights),
		"DeleteEndpoint":                     typed((*Server).deleteEndpoint),
		"ListEndpoints":                      typed((*Server).listEndpoints),

		"AddTags":    typed((*Server).addTags),
		"DeleteTags": typed((*Server).deleteTags),
		"ListTags":   typed((*Server).listTags),
	}
	database = map[string]operation{
		"CreateTable":               typed((*Server).createTable),
		"DescribeTable":             typed((*Server).describeTable),
		"DeleteTable":               typed((*Server).deleteTable),
		"ListTables":                typed((*Server).listTables),
		"DescribeContinuousBackups": typed((*Server).describeBackups),
		"UpdateContinuousBackups":   typed((*Server).updateBackups),
		"GetItem":                   typed((*Server).getItem),
		"PutItem":                   typed((*Server).putItem),
		"UpdateItem":                typed((*Server).updateItem),
		"DeleteItem":                typed((*Server).deleteItem),
		"BatchGetItem":              typed((*Server).batchGetItem),
		"BatchWriteItem":            typed((*Server).batchWriteItem),
		"Scan":                      typed((*Server).scan),
		"ExportTableToPointInTime":  typed((*Server).exportTable),
		"DescribeExport":            typed((*Server).describeExport),
		"ListExports":               typed((*Server).listExports),
	}
}

// listInput has the parameters of all list operations of SageMaker.
type listInput struct {
	NameContains string
	StatusEquals string
	SortOrder    string
	SortBy       string
	MaxResults   int
	NextToken    string

	CreationTimeAfter  float64
	CreationTimeBefore float64
}

// entry is an element of a list.
type entry struct {
	name    string
	created time.Time
	status  string
	summary any
}

// page filters, sorts and pages entries as the list operations of SageMaker do: newest first
// by default.
func (in *listInput) page(entries []entry) (out []any, next string, err error) {
	entries = slices.DeleteFunc(entries, func(e entry) bool {
		seconds := float64(e.created.UnixMilli()) / 1000
		return !strings.Contains(e.name, in.NameContains) || in.StatusEquals != "" && e.status != in.StatusEquals ||
			in.CreationTimeAfter > 0 && seconds <= in.CreationTimeAfter || in.CreationTimeBefore > 0 && seconds >= in.CreationTimeBefore
	})
	slices.SortFunc(entries, func(a, b entry) int {
		order := a.created.Compare(b.created)
		if in.SortBy == "Name" || order == 0 {
			order = strings.Compare(a.name, b.name)
		}
		if in.SortOrder != "Ascending" {
			order = -order
		}
		return order
	})
	names := make([]string, len(entries))
	summaries := make(map[string]any, len(entries))
	for i, e := range entries {
		names[i], summaries[e.name] = e.name, e.summary
	}
	chosen, next, err := paged(names, in.NextToken, in.MaxResults, 100)
	out = []any{}
	for _, name := range chosen {
		out = append(out, summaries[name])
	}
	return out, next, err
}

// paged returns the page of names that follows token. A token is the last name of the page
// before.
func paged(names []string, token string, size, most int) (page []string, next string, err error) {
	if size <= 0 {
		size = min(10, most)
	}
	size = min(size, most)
	if token != "" {
		last, err := base64.URLEncoding.DecodeString(token)
		i := slices.Index(names, string(last))
		if err != nil || i < 0 {
			return nil, "", validationf("The token '%s' is invalid.", token)
		}
		names = names[i+1:]
	}
	if len(names) > size {
		names = names[:size]
		next = base64.URLEncoding.EncodeToString([]byte(names[size-1]))
	}
	return names, next, nil
}
