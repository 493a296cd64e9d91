{{/* What the ordinary and the native sidecar have in common. */}}
{{- define "audit-shipper.containerBody" -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
name: audit-shipper
image: {{ include "audit-shipper.image" . | toYaml }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, -c, /etc/audit-shipper/shipper.yaml]
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  {{- include "audit-shipper.volumeMounts" . | nindent 2 }}
{{- if not $host.bare }}
securityContext:
  {{- include "audit-shipper.securityContext" . | nindent 2 }}
{{- if include "audit-shipper.port" . }}
ports:
  - {name: audit-metrics, containerPort: {{ include "audit-shipper.port" . }}, protocol: TCP}
{{- end }}
{{- include "audit-shipper.probes" . }}
{{- end }}
{{- end }}

{{/* A list of one, for `containers`. */}}
{{- define "audit-shipper.container" -}}
- {{ include "audit-shipper.containerBody" . | nindent 2 | trim }}
{{- end }}

{{/* A list of one, for `initContainers`: starts before the server, and stops after it. */}}
{{- define "audit-shipper.nativeSidecar" -}}
- {{ include "audit-shipper.containerBody" . | nindent 2 | trim }}
  restartPolicy: Always
{{- end }}

{{/* The group is the server's, so that its files can be read; the user is nobody's else. */}}
{{- define "audit-shipper.securityContext" -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
runAsNonRoot: true
runAsUser: {{ .Values.user | int64 }}
runAsGroup: {{ $host.group | int64 }}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/*
Neither probe looks at a target: an index that is down must not take MySQL out of its Service, nor
restart what waits for it. Readiness counts for the whole pod and is therefore off.
*/}}
{{- define "audit-shipper.probes" -}}
{{- $scheme := include "audit-shipper.scheme" . -}}
{{- if include "audit-shipper.port" . }}
{{- with .Values.probes.startup }}
startupProbe:
  httpGet: {path: /livez, port: audit-metrics, scheme: {{ $scheme }}}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.probes.liveness }}
livenessProbe:
  httpGet: {path: /livez, port: audit-metrics, scheme: {{ $scheme }}}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.probes.readiness }}
readinessProbe:
  httpGet: {path: /readyz, port: audit-metrics, scheme: {{ $scheme }}}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
