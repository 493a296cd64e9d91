{{/*
Every fragment takes (dict "Values" SIDECAR "Release" .Release), where SIDECAR are values of the
shape of this chart's values.yaml. With the dependency's alias `sidecar` that is .Values.sidecar.
*/}}

{{- define "audit-shipper.fullname" -}}
{{- $name := .Values.fullnameOverride | default (contains "audit-shipper" .Release.Name | ternary .Release.Name (printf "%s-audit-shipper" .Release.Name)) -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/*
Text out of the values goes through toYaml wherever it is rendered: a name may be 12, and a path may
have a comma or a colon.
*/}}

{{/* 52 characters leave room for the longest suffix within the 63 of a label. */}}
{{- define "audit-shipper.configName" -}}
{{ include "audit-shipper.fullname" . }}-config
{{- end }}

{{- define "audit-shipper.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ required "sidecar.image: give a tag or a digest" .tag }}
{{- end -}}
{{- end -}}
{{- end }}
