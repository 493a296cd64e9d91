{{/*
What no schema can see: values that do not fit each other or the pod. All of it in one message, before
anything is rendered; what the daemon itself would say of its configuration is left to it.
*/}}
{{- define "audit-shipper.check" -}}
{{- $wrong := concat
  (include "audit-shipper.check.secrets" (list "config" .Values.config) | splitList "\n")
  (include "audit-shipper.check.files" . | splitList "\n")
  (include "audit-shipper.check.names" . | splitList "\n")
  (include "audit-shipper.check.http" . | splitList "\n") -}}
{{- with compact $wrong }}{{ fail (printf "sidecar:\n- %s" (join "\n- " .)) }}{{ end -}}
{{- end }}

{{/* Places of secrets in clear: who may read ConfigMaps, or helm's own Secrets, would have them. */}}
{{- define "audit-shipper.check.secrets" -}}
{{- $path := first . -}}
{{- $value := last . -}}
{{- $secrets := list "api_key" "default" "hash_key" "password" "shared_key" -}}
{{- $why := "a ConfigMap is no place for a secret" -}}
{{- if kindIs "map" $value }}
  {{- range $key, $held := $value }}
    {{- $named := and (has $key $secrets) (kindIs "string" $held) }}
    {{- if and $named (not (regexMatch "^(\\$\\{[A-Za-z_][A-Za-z0-9_]*\\})?$" $held)) }}
{{ printf "%s.%s: %s; use %s_file and `secrets`, or ${NAME} and `env`" $path $key $why $key }}
    {{- else if not $named }}
      {{- include "audit-shipper.check.secrets" (list (printf "%s.%s" $path $key) $held) }}
    {{- end }}
  {{- end }}
{{- else if kindIs "slice" $value }}
  {{- range $at, $held := $value }}
    {{- include "audit-shipper.check.secrets" (list (printf "%s.%d" $path $at) $held) }}
  {{- end }}
{{- else if and (kindIs "string" $value) (regexMatch "://[^/@]*:[^/@]+@" $value) }}
{{ printf "%s: %s, nor is a URL" $path $why }}
{{- end }}
{{- end }}

{{/* The pod has two places for files of the configuration: the log's volume and the state's. */}}
{{- define "audit-shipper.check.files" -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
{{- $config := .Values.config -}}
{{- with $config.state }}
  {{- if not (regexMatch "^/var/lib/audit-shipper(/|$)|\\$\\{" .) }}
{{ printf "config.state: %s is on no volume; leave it out" . }}
  {{- end }}
{{- end }}
{{- $folder := printf "%s/" (trimSuffix "/" $host.mountPath) -}}
{{- range $at, $source := $config.sources }}
  {{- $path := get $source "path" | toString }}
  {{- if and (eq $source.type "file") (not (hasPrefix $folder $path)) (not (contains "${" $path)) }}
{{ printf "config.sources.%d.path: %s is not below %s, where log.volume is mounted; set log.mountPath" $at $path $folder }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
Percona's operators leave out what has a name that is taken, and say so in their own log only. Sources
and sinks are named for their type where nothing else is said; the daemon would not start.
*/}}
{{- define "audit-shipper.check.names" -}}
{{- $taken := list "config" "state" "tmp" -}}
{{- range concat .Values.secrets .Values.configMaps }}
  {{- if has .name $taken }}
{{ printf "secrets, configMaps: the name %s is taken" .name }}
  {{- end }}
  {{- $taken = append $taken .name }}
{{- end }}
{{- range $kind := list "sources" "sinks" }}
  {{- $taken = list }}
  {{- range index $.Values.config $kind }}
    {{- $name := .name | default .type }}
    {{- if has $name $taken }}
{{ printf "config.%s: the name %s is taken" $kind $name }}
    {{- end }}
    {{- $taken = append $taken $name }}
  {{- end }}
{{- end }}
{{- $taken = list "POD_NAME" "POD_NAMESPACE" -}}
{{- range .Values.env }}
  {{- if has .name $taken }}
{{ printf "env: the name %s is taken" .name }}
  {{- end }}
  {{- $taken = append $taken .name }}
{{- end }}
{{- end }}

{{/* A probe that cannot succeed kills the shipper again and again. */}}
{{- define "audit-shipper.check.http" -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
{{- $http := .Values.config.http | default dict -}}
{{- if and (hasKey $http "port") (eq ($http.port | toString) "0") }}
config.http.port: with 0 it is any free one, which nobody finds
{{- end }}
{{- if and .Values.config.http (gt (.Values.config.workers | default 1 | int) 1) }}
config.workers: each has a port of its own, and the pod shows the first alone; leave it at 1
{{- end }}
{{- $probes := and (not $host.bare) (or .Values.probes.startup .Values.probes.liveness .Values.probes.readiness) -}}
{{- $why := "set all probes to null" -}}
{{- if and $probes (regexMatch "^(127\\.|localhost$|::1$)" ($http.host | default "")) }}
{{ printf "config.http.host: kubelet does not reach %s; leave it out, or %s" $http.host $why }}
{{- end }}
{{- if and $probes $http.tls_client_ca }}
{{ printf "config.http.tls_client_ca: kubelet has no certificate for its probes; %s" $why }}
{{- end }}
{{- end }}
