{{/* What the fragments of the library take. */}}
{{- define "app.sidecar" -}}
{{- dict "Values" .Values.sidecar "Release" (pick .Release "Name" "Namespace") | toJson -}}
{{- end }}

{{- define "app.labels" -}}
app.kubernetes.io/name: audit-shipper
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}
