{{- define "audit-shipper.volumeMounts" -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
- name: {{ $host.volume | toYaml }}
  mountPath: {{ $host.mountPath | toYaml }}
  {{- with $host.subPath }}
  subPath: {{ . | toYaml }}
  {{- end }}
  readOnly: true
- name: audit-shipper-config
  mountPath: /etc/audit-shipper
  readOnly: true
- name: {{ eq $host.claim "data" | ternary "data" "audit-shipper-state" }}
  mountPath: /var/lib/audit-shipper
  {{- if eq $host.claim "data" }}
  subPath: audit-shipper
  {{- end }}
- name: audit-shipper-tmp
  mountPath: /tmp
{{- range .Values.secrets }}
- name: audit-shipper-{{ .name }}
  mountPath: /run/secrets/{{ .name }}
  readOnly: true
{{- end }}
{{- range .Values.configMaps }}
- name: audit-shipper-{{ .name }}
  mountPath: /run/config/{{ .name }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Everything but the log's own volume, which is the server's, and a claimed state. */}}
{{- define "audit-shipper.volumes" -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
- name: audit-shipper-config
  configMap: {name: {{ include "audit-shipper.configName" . }}}
{{- if eq $host.claim "ephemeral" }}
- name: audit-shipper-state
  ephemeral:
    volumeClaimTemplate:
      spec:
        {{- include "audit-shipper.claimSpec" . | nindent 8 }}
{{- else if eq $host.claim "empty" }}
- name: audit-shipper-state
  emptyDir: {sizeLimit: {{ .Values.state.size }}}
{{- end }}
- name: audit-shipper-tmp
  emptyDir: {sizeLimit: 64Mi}
{{- range .Values.secrets }}
- name: audit-shipper-{{ .name }}
  secret: {secretName: {{ .secretName | toYaml }}}
{{- end }}
{{- range .Values.configMaps }}
- name: audit-shipper-{{ .name }}
  configMap: {name: {{ .configMapName | toYaml }}}
{{- end }}
{{- end }}

{{- define "audit-shipper.claimSpec" -}}
accessModes: [ReadWriteOnce]
{{- with .Values.state.storageClassName }}
storageClassName: {{ . | toYaml }}
{{- end }}
resources: {requests: {storage: {{ .Values.state.size }}}}
{{- end }}

{{/* A list of one, for `volumeClaimTemplates` of a StatefulSet. */}}
{{- define "audit-shipper.volumeClaimTemplates" -}}
- metadata: {name: audit-shipper-state}
  spec:
    {{- include "audit-shipper.claimSpec" . | nindent 4 }}
{{- end }}

{{/* A list of one, for `sidecarPVCs` of the Percona Server operator. */}}
{{- define "audit-shipper.sidecarPVCs" -}}
- name: audit-shipper-state
  spec:
    {{- include "audit-shipper.claimSpec" . | nindent 4 }}
{{- end }}
