{{/* The name of a part: part of the release. */}}
{{- define "switchyard.name" -}}
{{- printf "%s-%s" .root.Release.Name .part | lower | replace "_" "-" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of everything. */}}
{{- define "switchyard.labels" -}}
app.kubernetes.io/name: switchyard
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part | lower | replace "_" "-" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{/* Labels by which a Deployment knows its pods: they never change. */}}
{{- define "switchyard.selector" -}}
app.kubernetes.io/name: switchyard
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part | lower | replace "_" "-" }}
{{- end -}}

{{/* The executors that make pods, by name, as JSON: the namespace of each, and the Secret of its kubeconfig if it has one. */}}
{{- define "switchyard.executors" -}}
{{- $found := dict -}}
{{- $fleet := .Values.fleet -}}
{{- range $name, $entry := omit $fleet.executor "plugin" -}}
{{- $entry = $entry | default dict -}}
{{- $plugin := $entry.pluginName | default $entry.plugin | default $name -}}
{{- if or (eq $plugin "kubernetes") (hasPrefix "k8s" $plugin) -}}
{{- $options := ($entry.options | default dict).kubernetes | default dict -}}
{{- $own := index ($fleet.executors | default dict) $name | default dict -}}
{{- $cluster := index ($fleet.clusters | default dict) ($own.cluster | default "") | default dict -}}
{{- $namespace := $own.namespace | default $cluster.namespace | default $options.jobsNamespace | default "default" -}}
{{- $kubeconfig := $own.kubeconfig | default $cluster.kubeconfig -}}
{{- $secret := "" -}}
{{- if kindIs "map" $kubeconfig -}}{{- $secret = $kubeconfig.secret -}}{{- end -}}
{{- $_ := set $found $name (dict "namespace" $namespace "secret" $secret "elsewhere" (not (empty $kubeconfig))) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* What a launcher may do in a namespace of builds; the same as in deploy/dev/manifests, which a test holds. */}}
{{- define "switchyard.launcher.rules" -}}
- {apiGroups: [""], resources: [pods], verbs: [create, get, patch, list, watch]}
- {apiGroups: [""], resources: [secrets], verbs: [create]}
- {apiGroups: [""], resources: [resourcequotas], verbs: [list]}
{{- end -}}

{{/* What a reaper may do there. */}}
{{- define "switchyard.reaper.rules" -}}
- {apiGroups: [""], resources: [pods], verbs: [get, list, watch, patch, delete]}
- {apiGroups: [""], resources: [events], verbs: [list, watch]}
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
{{- end -}}

{{/* What they may read outside of it. */}}
{{- define "switchyard.launcher.clusterRules" -}}
- {apiGroups: [node.k8s.io], resources: [runtimeclasses], verbs: [get, list, watch]}
{{- end -}}
{{- define "switchyard.reaper.clusterRules" -}}
- {apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}
{{- end -}}

{{/* The pod of a service: .root, .part, .service, .executor, .secret, .settings (more variables). */}}
{{- define "switchyard.pod" -}}
metadata:
  labels:
    {{- include "switchyard.selector" . | nindent 4 }}
  annotations:
    checksum/fleet: {{ toJson .root.Values.fleet | sha256sum }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "8080"
    {{- with .root.Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "switchyard.name" (dict "root" .root "part" .service) }}
  automountServiceAccountToken: {{ or (eq .service "launcher") (eq .service "reaper") }}
  terminationGracePeriodSeconds: 40
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
  {{- with .root.Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- if ne .service "provision" }}
  topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {{ include "switchyard.selector" . | fromYaml | toJson }}}
  {{- end }}
  containers:
  - name: {{ .service }}
    image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args: [{{ .service }}]
    env:
    - {name: SWITCHYARD_CONFIG, value: /etc/switchyard/fleet/fleet.yaml}
    - {name: SWITCHYARD_LISTEN, value: "0.0.0.0:8080"}
    - {name: SWITCHYARD_LOG_FORMAT, value: json}
    - {name: NATS_URL, value: {{ .root.Values.nats.url | quote }}}
    - {name: NATS_USER, value: {{ .service }}}
    - {name: NATS_PASSWORD_FILE, value: /run/switchyard/nats/{{ .service }}}
    {{- if .root.Values.nats.ca }}
    - {name: NATS_CA, value: /run/switchyard/nats-ca/ca.crt}
    {{- end }}
    {{- if .executor }}
    - {name: SWITCHYARD_EXECUTOR, value: {{ .executor | quote }}}
    {{- end }}
    {{- if .root.Values.traces.endpoint }}
    - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .root.Values.traces.endpoint | quote }}}
    {{- end }}
    {{- range $name, $value := .settings }}
    - {name: {{ $name }}, value: {{ $value | quote }}}
    {{- end }}
    ports:
    - {name: http, containerPort: 8080}
    {{- if ne .service "provision" }}
    livenessProbe:
      httpGet: {path: /livez, port: http}
      periodSeconds: 10
      failureThreshold: 3
    readinessProbe:
      httpGet: {path: /readyz, port: http}
      periodSeconds: 5
    {{- end }}
    resources: {{ toYaml (index .root.Values.resources .service) | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts:
    - {name: fleet, mountPath: /etc/switchyard/fleet, readOnly: true}
    - {name: nats, mountPath: /run/switchyard/nats, readOnly: true}
    {{- if .root.Values.nats.ca }}
    - {name: nats-ca, mountPath: /run/switchyard/nats-ca, readOnly: true}
    {{- end }}
    {{- if .secret }}
    - {name: kubeconfig, mountPath: {{ printf "/etc/switchyard/secrets/%s" .secret | quote }}, readOnly: true}
    {{- end }}
    {{- if and (eq .service "launcher") .root.Values.screwdriver.key }}
    - {name: screwdriver, mountPath: /run/switchyard/screwdriver, readOnly: true}
    {{- end }}
  volumes:
  - name: fleet
    configMap: {name: {{ include "switchyard.name" (dict "root" .root "part" "fleet") }}}
  - name: nats
    secret:
      secretName: {{ .root.Values.nats.passwords }}
      items: [{key: {{ .service }}, path: {{ .service }}}]
  {{- if .root.Values.nats.ca }}
  - name: nats-ca
    secret: {secretName: {{ .root.Values.nats.ca }}}
  {{- end }}
  {{- if .secret }}
  - name: kubeconfig
    secret: {secretName: {{ .secret }}}
  {{- end }}
  {{- if and (eq .service "launcher") .root.Values.screwdriver.key }}
  - name: screwdriver
    secret: {secretName: {{ .root.Values.screwdriver.key }}}
  {{- end }}
{{- end -}}

{{/* A Deployment: .root, .part, .service, .replicas and what its pod wants. */}}
{{- define "switchyard.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "switchyard.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "switchyard.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector:
    matchLabels:
      {{- include "switchyard.selector" . | nindent 6 }}
  template:
    {{- include "switchyard.pod" . | nindent 4 }}
{{- end -}}
