{{/*
What to paste, or to apply, so that each host runs the sidecar. One fragment a host; the files in
helm/examples/ are these, rendered.
*/}}
{{- define "audit-shipper.paste" -}}
{{- include (printf "audit-shipper.paste.%s" .Values.host) . -}}
{{- end }}

{{/* A whole StatefulSet, small enough to read: take over what yours lacks. */}}
{{- define "audit-shipper.paste.statefulset" -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .Values.cluster | toYaml }}
  labels: {app.kubernetes.io/name: {{ .Values.cluster | toYaml }}}
spec:
  serviceName: {{ .Values.cluster | toYaml }}
  selector:
    matchLabels: {app.kubernetes.io/name: {{ .Values.cluster | toYaml }}}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {{ .Values.cluster | toYaml }}
        {{- include "audit-shipper.podLabels" . | nindent 8 }}
      {{- with include "audit-shipper.podAnnotations" . }}
      annotations:
        {{- . | nindent 8 }}
      {{- end }}
    spec:
      # The server's time to stop, and the shipper's drain after it.
      terminationGracePeriodSeconds: 90
      automountServiceAccountToken: false
      securityContext: {fsGroup: {{ $host.group }}, fsGroupChangePolicy: OnRootMismatch}
      initContainers:
        {{- include "audit-shipper.nativeSidecar" . | nindent 8 }}
      containers:
        - name: mysql
          image: mariadb:11.4
          args:
            - --plugin-load-add=server_audit
            - --server-audit-logging=ON
            - --server-audit-events=CONNECT,QUERY
            - {{ printf "--server-audit-file-path=%s/%s" $host.mountPath $host.file | toYaml }}
          env:
            - name: MARIADB_ROOT_PASSWORD
              valueFrom: {secretKeyRef: {name: {{ .Values.cluster | toYaml }}, key: root-password}}
          ports:
            - {name: mysql, containerPort: 3306}
          securityContext:
            runAsNonRoot: true
            runAsUser: 999
            runAsGroup: {{ $host.group }}
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
            seccompProfile: {type: RuntimeDefault}
          volumeMounts:
            - {name: data, mountPath: /var/lib/mysql}
            - name: {{ $host.volume | toYaml }}
              mountPath: {{ $host.mountPath | toYaml }}
      volumes:
        {{- include "audit-shipper.volumes" . | nindent 8 }}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: 10Gi}}
    - metadata: {name: {{ $host.volume | toYaml }}}
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: 2Gi}}
    {{- include "audit-shipper.volumeClaimTemplates" . | nindent 4 }}
{{- end }}

{{/* Values of the chart bitnami/mysql. Log and state lie beside the data, on its volume. */}}
{{- define "audit-shipper.paste.bitnami-mysql" -}}
{{- range $role := list "primary" "secondary" }}
{{ $role }}:
  podLabels:
    {{- include "audit-shipper.podLabels" $ | nindent 4 }}
  {{- with include "audit-shipper.podAnnotations" $ }}
  podAnnotations:
    {{- . | nindent 4 }}
  {{- end }}
  initContainers:
    {{- include "audit-shipper.nativeSidecar" $ | nindent 4 }}
  extraVolumes:
    {{- include "audit-shipper.volumes" $ | nindent 4 }}
{{- end }}
{{- end }}

{{/*
For `kubectl apply --server-side`, or to merge into your own file. The state is an ephemeral claim and
not one of `sidecarPVCs`: this operator's are whole claims, of whose metadata its definition lists no
field, so that the API server drops the claim's name.
*/}}
{{- define "audit-shipper.paste.percona-xtradb-cluster" -}}
apiVersion: pxc.percona.com/v1
kind: PerconaXtraDBCluster
metadata:
  name: {{ .Values.cluster | toYaml }}
spec:
  pxc:
    labels:
      {{- include "audit-shipper.podLabels" . | nindent 6 }}
    {{- with include "audit-shipper.podAnnotations" . }}
    annotations:
      {{- . | nindent 6 }}
    {{- end }}
    sidecars:
      {{- include "audit-shipper.container" . | nindent 6 }}
    sidecarVolumes:
      {{- include "audit-shipper.volumes" . | nindent 6 }}
{{- end }}

{{- define "audit-shipper.paste.percona-server" -}}
apiVersion: ps.percona.com/v1
kind: PerconaServerMySQL
metadata:
  name: {{ .Values.cluster | toYaml }}
spec:
  mysql:
    labels:
      {{- include "audit-shipper.podLabels" . | nindent 6 }}
    {{- with include "audit-shipper.podAnnotations" . }}
    annotations:
      {{- . | nindent 6 }}
    {{- end }}
    sidecars:
      {{- include "audit-shipper.container" . | nindent 6 }}
    sidecarVolumes:
      {{- include "audit-shipper.volumes" . | nindent 6 }}
    sidecarPVCs:
      {{- include "audit-shipper.sidecarPVCs" . | nindent 6 }}
{{- end }}

{{/*
The operator merges podSpec by name. The init container does nothing: that it mounts the subPath
makes the folder, after the operator has initialised the data directory and before mysqld starts.
*/}}
{{- define "audit-shipper.paste.oracle-mysql" -}}
{{- $host := include "audit-shipper.host" . | fromYaml -}}
apiVersion: mysql.oracle.com/v2
kind: InnoDBCluster
metadata:
  name: {{ .Values.cluster | toYaml }}
spec:
  podLabels:
    {{- include "audit-shipper.podLabels" . | nindent 4 }}
  {{- with include "audit-shipper.podAnnotations" . }}
  podAnnotations:
    {{- . | nindent 4 }}
  {{- end }}
  podSpec:
    initContainers:
      - name: audit-shipper-folder
        image: {{ include "audit-shipper.image" . | toYaml }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        args: [--version]
        securityContext:
          {{- include "audit-shipper.securityContext" . | nindent 10 }}
        volumeMounts:
          - name: {{ $host.volume | toYaml }}
            mountPath: {{ $host.mountPath | toYaml }}
            subPath: {{ $host.subPath | toYaml }}
    containers:
      {{- include "audit-shipper.container" . | nindent 6 }}
    volumes:
      {{- include "audit-shipper.volumes" . | nindent 6 }}
{{- end }}

{{/* The operator's own container type has neither ports nor probes nor a security context. */}}
{{- define "audit-shipper.paste.mariadb-operator" -}}
apiVersion: k8s.mariadb.com/v1alpha1
kind: MariaDB
metadata:
  name: {{ .Values.cluster | toYaml }}
spec:
  podMetadata:
    labels:
      {{- include "audit-shipper.podLabels" . | nindent 6 }}
    {{- with include "audit-shipper.podAnnotations" . }}
    annotations:
      {{- . | nindent 6 }}
    {{- end }}
  sidecarContainers:
    {{- include "audit-shipper.container" . | nindent 4 }}
  volumes:
    {{- include "audit-shipper.volumes" . | nindent 4 }}
{{- end }}
