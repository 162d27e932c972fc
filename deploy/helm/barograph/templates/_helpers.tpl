{{- define "barograph.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "barograph" $name) }}{{ $name = printf "%s-barograph" $name }}{{ end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* Takes a list: the context and the component. */}}
{{- define "barograph.selector" -}}
{{- $context := index . 0 -}}
app.kubernetes.io/name: barograph
app.kubernetes.io/instance: {{ $context.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "barograph.labels" -}}
{{- $context := index . 0 -}}
{{ include "barograph.selector" . }}
app.kubernetes.io/version: {{ $context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
helm.sh/chart: {{ $context.Chart.Name }}-{{ $context.Chart.Version }}
{{- end }}

{{/* The components that run, with spaces between. */}}
{{- define "barograph.components" -}}
worker recorder desk{{ if .Values.feeds }} feed{{ end }}
{{- end }}

{{/* The port on which a component answers. */}}
{{- define "barograph.port" -}}
{{- get (dict "worker" "9101" "recorder" "9102" "desk" "8080" "feed" "9103") . -}}
{{- end }}

{{/* What the pods of all have in common. */}}
{{- define "barograph.pod" -}}
{{- $context := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := $context.Values -}}
{{- $own := index $values $component -}}
{{- $feed := eq $component "feed" -}}
{{- $gpu := and (eq $component "worker") $values.worker.gpu.enabled -}}
{{- $run := ternary $values.worker.gpu.modelClaim "" $gpu -}}
metadata:
  labels:
    {{- include "barograph.labels" . | nindent 4 }}
  annotations:
    # Settings are read at the start; the watchlist is followed.
    barograph/settings: {{ toYaml $values.settings | sha256sum }}
    {{- if $feed }}
    barograph/feeds: {{ toYaml $values.feeds | sha256sum }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  # Longer than a batch takes, so that a worker can leave its group.
  terminationGracePeriodSeconds: 60
  containers:
    - name: {{ $component }}
      image: {{ printf "%s:%s%s" $values.image.repository (default $context.Chart.AppVersion $values.image.tag) (ternary "-gpu" "" $gpu) | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      {{- if $feed }}
      args: [feed, run, /etc/barograph/feeds.yaml, --state, /var/lib/barograph/feeds.db]
      {{- else }}
      args: [{{ $component | quote }}]
      {{- end }}
      envFrom:
        - secretRef:
            name: {{ required "existingSecret is needed: see docs/deploying.md" $values.existingSecret }}
      env:
        - {name: BAROGRAPH_CONFIG, value: /etc/barograph/settings.yaml}
        - {name: BAROGRAPH_HTTP__HOST, value: "0.0.0.0"}
        - name: BAROGRAPH_KAFKA__BOOTSTRAP
          value: {{ $values.kafka.bootstrap | quote }}
        - name: BAROGRAPH_KAFKA__APP_ID
          value: {{ $values.kafka.appId | quote }}
        - name: BAROGRAPH_KAFKA__PARTITIONS
          value: {{ $values.kafka.partitions | quote }}
        - name: BAROGRAPH_KAFKA__REPLICATION_FACTOR
          value: {{ $values.kafka.replicationFactor | quote }}
        - name: BAROGRAPH_DELIVERY__DASHBOARD_URL
          value: {{ $values.dashboardUrl | quote }}
        {{- with $values.alertmanagerUrl }}
        - name: BAROGRAPH_DELIVERY__ALERTMANAGER_URL
          value: {{ . | quote }}
        {{- end }}
        {{- if $gpu }}
        - {name: BAROGRAPH_WORKER__BACKEND, value: torch}
        {{- end }}
        {{- if $run }}
        - {name: BAROGRAPH_MODEL, value: /models/run}
        {{- end }}
      ports:
        - {name: http, containerPort: {{ include "barograph.port" $component }}}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      resources:
        {{- $resources := deepCopy $own.resources }}
        {{- if $gpu }}
        {{- $limit := dict "limits" (dict $values.worker.gpu.resource $values.worker.gpu.count) }}
        {{- $resources = mergeOverwrite $resources $limit }}
        {{- end }}
        {{- toYaml $resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/barograph, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if $feed }}
        - {name: state, mountPath: /var/lib/barograph}
        {{- end }}
        {{- if $run }}
        - {name: model, mountPath: /models/run, readOnly: true}
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "barograph.name" $context }}}
    - name: tmp
      emptyDir: {}
    {{- if $feed }}
    - name: state
      persistentVolumeClaim:
        claimName: {{ default (printf "%s-feed" (include "barograph.name" $context)) $own.storage.existingClaim }}
    {{- end }}
    {{- if $run }}
    - name: model
      persistentVolumeClaim:
        claimName: {{ $run }}
        readOnly: true
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
