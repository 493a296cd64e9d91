{{/* The configuration as it is: what the values say over what the host makes sensible. */}}
{{- define "audit-shipper.config" -}}
{{- include "audit-shipper.check" . -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
{{- $source := dict "type" "file" "path" (printf "%s/%s" $host.mountPath $host.file) -}}
{{- if $host.name }}{{ $_ := set $source "name" $host.name }}{{ end -}}
{{- /* A container that ended because a target refused it would take the pod out of its Service. */ -}}
{{- $own := dict
  "state" "/var/lib/audit-shipper"
  "instance" "${POD_NAMESPACE}/${POD_NAME}"
  "refused_retry_seconds" "60s"
  "sources" (list $source) -}}
{{- $config := mergeOverwrite $own (deepCopy .Values.config) -}}
{{- if not $config.sources }}{{ $_ := set $config "sources" (list $source) }}{{ end -}}
{{- toYaml $config -}}
{{- end }}

{{- define "audit-shipper.configChecksum" -}}
{{- include "audit-shipper.config" . | sha256sum -}}
{{- end }}

{{/* A changed configuration restarts the pod, database included: see restartOnConfigChange. */}}
{{- define "audit-shipper.podAnnotations" -}}
{{- if .Values.restartOnConfigChange -}}
checksum/audit-shipper: {{ include "audit-shipper.configChecksum" . }}
{{- end -}}
{{- end }}

{{/* Labels that the PodMonitor and the NetworkPolicy of the application chart select by. */}}
{{- define "audit-shipper.podLabels" -}}
audit-shipper: {{ include "audit-shipper.fullname" . | toYaml }}
{{- end }}

{{- define "audit-shipper.port" -}}
{{- with .Values.config.http }}{{ .port | default 9619 }}{{ end -}}
{{- end }}

{{- define "audit-shipper.scheme" -}}
{{- $http := .Values.config.http | default dict -}}
{{- if $http.tls_certificate }}HTTPS{{ else }}HTTP{{ end -}}
{{- end }}
