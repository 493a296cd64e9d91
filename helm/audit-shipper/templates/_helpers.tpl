{{/* What the fragments of the library take. */}}
{{- define "app.sidecar" -}}
{{- dict "Values" .Values.sidecar "Release" (pick .Release "Name" "Namespace") | toJson -}}
{{- end }}

{{/* Labels of an object, of (list $ MORE): what is said twice must stand once, MORE's being the last word. */}}
{{- define "app.labels" -}}
{{- $root := first . -}}
{{- $own := dict
  "app.kubernetes.io/name" "audit-shipper"
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- mergeOverwrite $own $root.Values.labels (last .) | toYaml -}}
{{- end }}
