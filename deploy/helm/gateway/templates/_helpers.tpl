{{/* The name of what belongs to the release: with the chart's name in it once. */}}
{{- define "gateway.fullname" -}}
{{- if contains "gateway" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-gateway" (.Release.Name | trunc 42 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "gateway.metadata" -}}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "gateway.labels" . | nindent 2 }}
{{- end -}}

{{- define "gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "gateway.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: with create false, name one that exists" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "gateway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "gateway.schemaMap" -}}
{{- if .Values.schema.content -}}
{{ include "gateway.fullname" . }}-schema
{{- else -}}
{{ .Values.schema.existingConfigMap }}
{{- end -}}
{{- end -}}

{{/* What the schema of the values cannot say: replicas share a database and tokens. */}}
{{- define "gateway.check" -}}
{{- range $name := list "database" "adminTokens" "apiKeys" -}}
{{- $secret := index $.Values $name -}}
{{- if and $secret.existingSecret $secret.secretId -}}
{{- fail (printf "%s: existingSecret and secretId exclude each other" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.schema.content .Values.schema.existingConfigMap -}}
{{- fail "schema: content and existingConfigMap exclude each other" -}}
{{- end -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}
{{- if not (or .Values.database.existingSecret .Values.database.secretId) -}}
{{- fail "database: more than one replica needs a database that they share: set existingSecret or secretId" -}}
{{- end -}}
{{- if not (or .Values.adminTokens.existingSecret .Values.adminTokens.secretId) -}}
{{- fail "adminTokens: more than one replica needs tokens that they share: set existingSecret or secretId" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.aws.identity "irsa") (not .Values.aws.roleArn) -}}
{{- fail "aws.roleArn: identity irsa needs the role" -}}
{{- end -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling: minReplicas is more than maxReplicas" -}}
{{- end -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int .Values.preStopSeconds) -}}
{{- fail "terminationGracePeriodSeconds must be more than preStopSeconds" -}}
{{- end -}}
{{- end -}}
