{{/* Names, labels, images and quantities. */}}

{{- define "cifar-dist.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{/* A cut name ends in four of its digest, so that two long names stay two: (list name length). */}}
{{- define "cifar-dist.cut" -}}
{{- $name := first . -}}
{{- if gt (len $name) (last .) -}}
{{- printf "%s-%s" ($name | trunc (int (sub (last .) 5)) | trimSuffix "-") ($name | sha256sum | trunc 4) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* At most 40 characters, so that every suffix fits. */}}
{{- define "cifar-dist.fullname" -}}
{{- $name := include "cifar-dist.name" . -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
  {{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- include "cifar-dist.cut" (list $full 40) -}}
{{- end -}}

{{/* What policies, monitors and services select by; never changes with a version. */}}
{{- define "cifar-dist.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cifar-dist.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of the release's objects. */}}
{{- define "cifar-dist.labels" -}}
{{ include "cifar-dist.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: cifar-dist
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a pod: (list $ "head"). Without versions, or each upgrade would replace pods. */}}
{{- define "cifar-dist.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "cifar-dist.selectorLabels" $root }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: cifar-dist
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (list $ .Values.image) */}}
{{- define "cifar-dist.image" -}}
{{- $image := index . 1 -}}
{{- $name := printf "%s:%s" $image.repository ($image.tag | default (index . 0).Chart.AppVersion) -}}
{{- with $image.digest -}}{{- $name = printf "%s@%s" $name . -}}{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "cifar-dist.pullSecrets" -}}
{{- with .pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* (list $ "head") */}}
{{- define "cifar-dist.account" -}}
{{- printf "%s-%s" (include "cifar-dist.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* It belongs to the whole cluster, so its name says whose it is. */}}
{{- define "cifar-dist.priorityClass" -}}
{{- include "cifar-dist.cut" (list (printf "%s-%s" .Release.Namespace (include "cifar-dist.fullname" .)) 63) -}}
{{- end -}}

{{/* A quantity as a number of thousandths, for comparisons; empty counts as 0. */}}
{{- define "cifar-dist.thousandths" -}}
{{- $text := ternary (printf "%.3f" .) (toString .) (kindIs "float64" .) -}}
{{- $units := dict "" 1000.0 "m" 1.0 "k" 1e6 "M" 1e9 "G" 1e12 "T" 1e15 "Ki" 1024e3 "Mi" 1048576e3 "Gi" 1073741824e3 "Ti" 1099511627776e3 -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text | default "0" -}}
{{- printf "%.0f" (mulf (float64 $number) (get $units (trimPrefix $number $text))) -}}
{{- end -}}

{{/* A group of workers with what it leaves open, as YAML: its values. */}}
{{- define "cifar-dist.group" -}}
{{- $defaults := `
enabled: false
minReplicas: 0
maxReplicas: 4
replicas: null
resources: {requests: {}, limits: {}}
rayResources: {}
labels: {}
annotations: {}
spot: false
tolerations: []
nodeSelector: {}
affinity: {}
spread: false
topologySpreadConstraints: []
shm: 2Gi
tmp: 10Gi
terminationGracePeriodSeconds: 120
idleTimeoutSeconds: null
priorityClassName: ""
extraEnv: []
` | fromYaml -}}
{{- mergeOverwrite $defaults (deepCopy .) | toYaml -}}
{{- end -}}

{{/* The enabled groups, by name, as YAML. */}}
{{- define "cifar-dist.groups" -}}
{{- $groups := dict -}}
{{- range $name, $group := .Values.workerGroups -}}
  {{- if and $group $group.enabled -}}
    {{- $_ := set $groups $name (include "cifar-dist.group" $group | fromYaml) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}

{{/* "true" if Ray's autoscaler has something to do: a group that is not of fixed size. */}}
{{- define "cifar-dist.autoscales" -}}
{{- $scales := "" -}}
{{- if .Values.autoscaling.enabled -}}
  {{- range $group := include "cifar-dist.groups" . | fromYaml -}}
    {{- if and (kindIs "invalid" $group.replicas) (lt (int $group.minReplicas) (int $group.maxReplicas)) -}}
      {{- $scales = "true" -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $scales -}}
{{- end -}}

{{/* What a pod's scheduler is told by the queue's own labels. */}}
{{- define "cifar-dist.queueLabels" -}}
{{- $queue := .Values.queue -}}
{{- if eq $queue.type "kueue" }}
kueue.x-k8s.io/queue-name: {{ $queue.name }}
{{- with $queue.priorityClass }}
kueue.x-k8s.io/priority-class: {{ . }}
{{- end }}
{{- else if eq $queue.type "volcano" }}
volcano.sh/queue-name: {{ $queue.name }}
ray.io/gang-scheduling-enabled: "true"
{{- with $queue.priorityClass }}
ray.io/priority-class-name: {{ . }}
{{- end }}
{{- else if eq $queue.type "yunikorn" }}
yunikorn.apache.org/queue: {{ $queue.name }}
yunikorn.apache.org/app-id: {{ .Values.job.name | default (include "cifar-dist.fullname" .) }}
ray.io/gang-scheduling-enabled: "true"
{{- else if eq $queue.type "kai" }}
kai.scheduler/queue: {{ $queue.name }}
{{- end }}
{{- end -}}
