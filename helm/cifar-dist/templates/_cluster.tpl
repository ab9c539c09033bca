{{/* The spec of a RayCluster: (dict "root" $ "run" name "plain" job.env). Only fields that KubeRay
     1.6.1 knows, too. */}}
{{- define "cifar-dist.cluster" -}}
{{- $root := .root -}}
{{- $autoscales := include "cifar-dist.autoscales" $root -}}
rayVersion: {{ $root.Values.ray.version | quote }}
{{- if eq $root.Values.ray.auth.mode "token" }}
authOptions:
  mode: token
  {{- with $root.Values.ray.auth.existingSecret }}
  secretName: {{ . }}
  {{- end }}
{{- end }}
{{- if $autoscales }}
enableInTreeAutoscaling: true
autoscalerOptions:
  {{- include "cifar-dist.autoscaler" $root | nindent 2 }}
{{- end }}
headGroupSpec:
  serviceType: ClusterIP
  rayStartParams:
    num-cpus: {{ $root.Values.head.numCpus | quote }}
    object-store-memory: {{ include "cifar-dist.objectStoreBytes" $root.Values.head.shm | quote }}
  template:
    {{- include "cifar-dist.headPod" . | nindent 4 }}
workerGroupSpecs:
  {{- range $name, $group := include "cifar-dist.groups" $root | fromYaml }}
  {{- $scales := and $autoscales (kindIs "invalid" $group.replicas) (lt (int $group.minReplicas) (int $group.maxReplicas)) }}
  - groupName: {{ $name }}
    {{- /* Left to the autoscaler, or each apply would set it back. */}}
    {{- if not $scales }}
    replicas: {{ (kindIs "invalid" $group.replicas | ternary $group.maxReplicas $group.replicas) | int64 }}
    {{- end }}
    minReplicas: {{ $group.minReplicas | int64 }}
    maxReplicas: {{ $group.maxReplicas | int64 }}
    {{- if and $scales (not (kindIs "invalid" $group.idleTimeoutSeconds)) }}
    idleTimeoutSeconds: {{ $group.idleTimeoutSeconds | int64 }}
    {{- end }}
    {{- with $group.rayResources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $group.labels }}
    labels:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    rayStartParams:
      object-store-memory: {{ include "cifar-dist.objectStoreBytes" $group.shm | quote }}
    template:
      {{- include "cifar-dist.workerPod" (dict "root" $root "run" $.run "name" $name "group" $group) | nindent 6 }}
  {{- else }}
  []
  {{- end }}
{{- end -}}

{{/* The autoscaler's container: KubeRay gives it no security context and no folder to write to. */}}
{{- define "cifar-dist.autoscaler" -}}
version: v2
upscalingMode: {{ .Values.autoscaling.upscalingMode }}
idleTimeoutSeconds: {{ .Values.autoscaling.idleTimeoutSeconds | int64 }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources:
  {{- toYaml .Values.autoscaling.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.security.containerSecurityContext | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* The spec of a RayJob: (dict "root" $ "run" name). */}}
{{- define "cifar-dist.job" -}}
{{- $job := .root.Values.job -}}
entrypoint: {{ $job.entrypoint | quote }}
submissionMode: {{ $job.submissionMode }}
backoffLimit: {{ $job.backoffLimit | int64 }}
activeDeadlineSeconds: {{ $job.activeDeadlineSeconds | int64 }}
preRunningDeadlineSeconds: {{ $job.preRunningDeadlineSeconds | int64 }}
shutdownAfterJobFinishes: true
ttlSecondsAfterFinished: {{ $job.ttlSeconds | int64 }}
{{- if $job.suspend }}
suspend: true
{{- end }}
{{- with $job.metadata }}
metadata:
  {{- toYaml . | nindent 2 }}
{{- end }}
rayClusterSpec:
  {{- include "cifar-dist.cluster" (dict "root" .root "run" .run "plain" $job.env) | nindent 2 }}
{{- end -}}

{{/* What CIFAR_DIST_CLUSTER_LIMITS tells a driver of a cluster that grows, fully grown: CPUs and GPUs of
     a pod as Ray counts them, and how many of these. Nothing where all pods are there at once. */}}
{{- define "cifar-dist.limits" -}}
{{- if include "cifar-dist.autoscales" . -}}
{{- $limits := list -}}
{{- range include "cifar-dist.groups" . | fromYaml -}}
  {{- $has := merge (dict) (.resources.limits | default dict) (.resources.requests | default dict) -}}
  {{- $cpus := include "cifar-dist.cpus" ($has.cpu | default 0) | int -}}
  {{- $gpus := 0 -}}
  {{- range $name, $count := .resources.limits -}}
    {{- if or (hasSuffix "gpu" $name) (hasPrefix "nvidia.com/mig-" $name) -}}{{- $gpus = add $gpus (int $count) -}}{{- end -}}
  {{- end -}}
  {{- $counted := .rayResources | default dict -}}
  {{- $most := kindIs "invalid" .replicas | ternary .maxReplicas .replicas | int -}}
  {{- if $most -}}
    {{- $limits = append $limits (list (hasKey $counted "CPU" | ternary (float64 $counted.CPU) $cpus) (hasKey $counted "GPU" | ternary (float64 $counted.GPU) $gpus) $most) -}}
  {{- end -}}
{{- end -}}
{{- toJson $limits -}}
{{- end -}}
{{- end -}}

{{/* CPUs of a quantity as Ray counts them: a part is a whole one. */}}
{{- define "cifar-dist.cpus" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}
{{- ceil (divf (float64 (trimSuffix "m" $text)) 1000) -}}
{{- else -}}
{{- ceil (float64 $text) -}}
{{- end -}}
{{- end -}}
