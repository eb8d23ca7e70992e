{{- define "trainshed.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "trainshed.operator" -}}
{{ .Values.operator.name | default (printf "%s-operator" .Release.Name) | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "trainshed.operator.account" -}}
{{ .Values.operator.serviceAccount.name | default (include "trainshed.operator" .) }}
{{- end -}}

{{- define "trainshed.server" -}}
{{ .Values.server.name | default (printf "%s-server" .Release.Name) | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "trainshed.server.account" -}}
{{ .Values.server.serviceAccount.name | default (include "trainshed.server" .) }}
{{- end -}}

{{- define "trainshed.server.keys" -}}
{{ .Values.server.keys.existingSecret | default (printf "%s-keys" (include "trainshed.server" .)) }}
{{- end -}}

{{- define "trainshed.server.url" -}}
http://{{ include "trainshed.server" . }}.{{ .Release.Namespace }}.svc:{{ .Values.server.service.port }}
{{- end -}}

{{- define "trainshed.jobs" -}}
{{ .Values.jobs.namespace | default .Release.Namespace }}
{{- end -}}

{{/* Namespaces that the operator serves, as JSON; [] for all. */}}
{{- define "trainshed.watched" -}}
{{- if eq .Values.installScope "cluster" -}}
[]
{{- else -}}
{{ .Values.watchNamespaces | default (list .Release.Namespace) | toJson }}
{{- end -}}
{{- end -}}

{{/* Labels by which a part's pods are selected: never changed. Takes (list $ "operator"). */}}
{{- define "trainshed.selector" -}}
app.kubernetes.io/name: trainshed
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "trainshed.labels" -}}
{{ include "trainshed.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end -}}

{{- define "trainshed.pod.security" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "trainshed.container.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where pods go. Takes the values of a part. */}}
{{- define "trainshed.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "trainshed.kinds" -}}
[trainingjobs, hyperparametertuningjobs, batchtransformjobs, processingjobs, models, endpointconfigs, hostingdeployments, hostingautoscalingpolicies]
{{- end -}}
{{- define "trainshed.kinds.status" -}}
{{- $found := list -}}
{{- range include "trainshed.kinds" . | fromYamlArray -}}{{- $found = append $found (printf "%s/status" .) -}}{{- end -}}
{{ $found | toJson }}
{{- end -}}

{{/* Makes whole numbers of a mapping what they were: Helm reads every number of a file as a float, and TOML tells them apart. */}}
{{- define "trainshed.whole" -}}
{{- range $name, $value := . -}}
{{- if kindIs "map" $value -}}
{{- include "trainshed.whole" $value -}}
{{- else if kindIs "slice" $value -}}
{{- range $value -}}{{- if kindIs "map" . -}}{{- include "trainshed.whole" . -}}{{- end -}}{{- end -}}
{{- else if kindIs "float64" $value -}}
{{- if eq $value (floor $value) -}}{{- $_ := set $ $name (int64 $value) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
