{{/*
What is known of each host: group of the server's files, and the volume and folder that the audit
log lies in. `claim`: how the state gets a volume of its own, or that it is a folder beside the data. `bare`: the host takes only a part of
a container's fields. Facts and doubts: docs/kubernetes.md.
*/}}
{{- define "audit-shipper.hosts" -}}
statefulset:
  {group: 999, volume: audit-log, subPath: "", mountPath: /var/log/mysql-audit, claim: template}
bitnami-mysql:
  {group: 1001, volume: data, subPath: audit, mountPath: /bitnami/mysql/audit, claim: data}
percona-xtradb-cluster:
  {group: 1001, volume: datadir, subPath: audit, mountPath: /var/lib/mysql/audit, claim: ephemeral}
percona-server:
  {group: 1001, volume: datadir, subPath: audit, mountPath: /var/lib/mysql/audit, claim: host}
oracle-mysql:
  {group: 27, volume: datadir, subPath: audit, mountPath: /var/lib/mysql/audit, claim: ephemeral}
mariadb-operator:
  {group: 999, volume: storage, subPath: audit, mountPath: /var/lib/mysql/audit, claim: empty, bare: true}
{{- end }}

{{/* The chosen host, with what the values say otherwise. */}}
{{- define "audit-shipper.host" -}}
{{- $hosts := include "audit-shipper.hosts" . | fromYaml -}}
{{- $host := get $hosts .Values.host | required (printf "sidecar.host: %q is none of %s" .Values.host (keys $hosts | sortAlpha | join ", ")) -}}
{{- range $key, $value := .Values.log }}
  {{- if kindIs "invalid" $value | not }}{{ $_ := set $host $key $value }}{{ end -}}
{{- end -}}
{{- if kindIs "invalid" .Values.group | not }}{{ $_ := set $host "group" .Values.group }}{{ end -}}
{{- toYaml $host -}}
{{- end }}
