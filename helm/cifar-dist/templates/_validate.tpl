{{/* What neither the schema nor the API server refuses, but the operator, the kubelet or a running
     job would, later and less clearly. Each message names the key and the remedy. */}}
{{- define "cifar-dist.validate" -}}
{{- include "cifar-dist.validate.platform" . -}}
{{- include "cifar-dist.validate.store" . -}}
{{- include "cifar-dist.validate.security" . -}}
{{- include "cifar-dist.validate.container" (dict "key" "head" "spec" .Values.head "drain" .Values.ray.drainSeconds) -}}
{{- $_ := include "cifar-dist.env" (dict "root" . "component" "head" "plain" .Values.job.env "extra" .Values.head.extraEnv "key" "head.extraEnv") -}}
{{- include "cifar-dist.validate.labels" (dict "key" "head.labels" "labels" .Values.head.labels) -}}
{{- include "cifar-dist.validate.labels" (dict "key" "commonLabels" "labels" .Values.commonLabels) -}}
{{- $names := list -}}
{{- range $name, $group := include "cifar-dist.groups" . | fromYaml -}}
  {{- $names = append $names $name -}}
  {{- include "cifar-dist.validate.group" (dict "key" (printf "workerGroups.%s" $name) "spec" $group "root" $) -}}
  {{- $_ := include "cifar-dist.env" (dict "root" $ "component" "worker" "extra" $group.extraEnv "key" (printf "workerGroups.%s.extraEnv" $name)) -}}
{{- end -}}
{{- include "cifar-dist.validate.ports" . -}}
{{- include "cifar-dist.validate.queue" (dict "root" . "groups" $names) -}}
{{- if or .Values.job.render .Values.alpha.cron.enabled -}}
  {{- include "cifar-dist.validate.job" . -}}
{{- end -}}
{{- end -}}

{{- define "cifar-dist.validate.platform" -}}
{{- $full := include "cifar-dist.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) -}}
  {{- fail (printf "fullnameOverride: %q would name Services, which start with a letter and hold a-z, 0-9 and '-'; set it" $full) -}}
{{- end -}}
{{- if eq .Values.ray.auth.mode "token" -}}
  {{- if not (semverCompare ">=2.53.0" .Values.ray.version) -}}
    {{- fail (printf "ray.version: %s is too old for token authentication and for probes without wget; take 2.53.0 or newer" .Values.ray.version) -}}
  {{- end -}}
{{- else if or .Values.exposure.ingress.enabled .Values.exposure.httpRoute.enabled -}}
  {{- fail "exposure: whoever reaches Ray's dashboard may run code on it; set ray.auth.mode=token, or leave exposure.ingress and exposure.httpRoute off" -}}
{{- end -}}
{{- if and (ne .Values.mode "cluster") (or .Values.exposure.ingress.enabled .Values.exposure.httpRoute.enabled) -}}
  {{- fail "exposure: only a cluster that stays has an address; set mode=cluster, or reach a run by `make dashboard ON=k8s`" -}}
{{- end -}}
{{- if and (or .Values.exposure.ingress.enabled .Values.exposure.httpRoute.enabled) .Values.networkPolicy.enabled (not .Values.networkPolicy.dashboardNamespace) -}}
  {{- fail "networkPolicy.dashboardNamespace: the policies let nobody through to what exposure shows; set it to the namespace of the gateway or ingress controller" -}}
{{- end -}}
{{- with .Values.gcsFaultTolerance -}}
  {{- if .enabled -}}
    {{- if ne $.Values.mode "cluster" -}}
      {{- fail "gcsFaultTolerance.enabled: a run's driver ends with its head and resumes from the store; set mode=cluster or switch it off" -}}
    {{- end -}}
    {{- if and .redis.address (or .storage.size .storage.storageClass) -}}
      {{- fail "gcsFaultTolerance: redis and storage exclude each other; set gcsFaultTolerance.redis.address or gcsFaultTolerance.storage.size" -}}
    {{- end -}}
    {{- if and (eq .backend "redis") (not .redis.address) -}}
      {{- fail "gcsFaultTolerance.redis.address: backend redis needs it, as host:port" -}}
    {{- end -}}
    {{- if eq .backend "rocksdb" -}}
      {{- if not $.Values.alpha.embeddedStorage -}}
        {{- fail "gcsFaultTolerance.backend: rocksdb needs the operator's feature gate GCSFaultToleranceEmbeddedStorage; switch it on there and set alpha.embeddedStorage=true" -}}
      {{- end -}}
      {{- if not .storage.size -}}
        {{- fail "gcsFaultTolerance.storage.size: backend rocksdb needs it, such as 10Gi" -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "cifar-dist.validate.store" -}}
{{- $store := .Values.store -}}
{{- if and $store.irsaRoleArn $store.existingSecret -}}
  {{- fail "store.irsaRoleArn: keys of store.existingSecret would win over the role; set one of them" -}}
{{- end -}}
{{- if and $store.bootstrap.enabled (not $store.uri) -}}
  {{- fail "store.uri: store.bootstrap.enabled makes the bucket that it names; set it to s3://bucket/prefix" -}}
{{- end -}}
{{- if $store.dev.enabled -}}
  {{- if not $store.existingSecret -}}
    {{- fail "store.existingSecret: the development store takes its keys from there; make a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and name it" -}}
  {{- end -}}
  {{- if not $store.uri -}}
    {{- fail "store.uri: store.dev.enabled needs a bucket; set it to s3://bucket/prefix" -}}
  {{- end -}}
  {{- if $store.endpoint -}}
    {{- fail "store.endpoint: store.dev.enabled brings its own server; leave it empty" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "cifar-dist.validate.security" -}}
{{- range $key := list "privileged" "allowPrivilegeEscalation" -}}
  {{- if get $.Values.security.containerSecurityContext $key -}}
    {{- fail (printf "security.containerSecurityContext.%s: nothing here needs it, and Pod Security restricted refuses it; set it to false" $key) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* (dict "key" "head" "spec" … "drain" seconds) */}}
{{- define "cifar-dist.validate.container" -}}
{{- $limits := .spec.resources.limits | default dict -}}
{{- $requests := .spec.resources.requests | default dict -}}
{{- if not (hasKey $limits "memory") -}}
  {{- fail (printf "%s.resources.limits.memory: Ray sizes itself by it; set it" .key) -}}
{{- end -}}
{{- if not (or (hasKey $limits "cpu") (hasKey $requests "cpu")) -}}
  {{- fail (printf "%s.resources.limits.cpu: Ray counts CPUs by it; set it" .key) -}}
{{- end -}}
{{- range $resource, $quantity := $requests -}}
  {{- if hasKey $limits $resource -}}
    {{- $least := include "cifar-dist.thousandths" $quantity | float64 -}}
    {{- $most := include "cifar-dist.thousandths" (get $limits $resource) | float64 -}}
    {{- if gt $least $most -}}
      {{- fail (printf "%s.resources.requests.%s: %v is above its limit %v; lower it" $.key $resource $quantity (get $limits $resource)) -}}
    {{- end -}}
    {{- if and (contains "/" $resource) (ne $least $most) -}}
      {{- fail (printf "%s.resources.limits.%s: devices are not overcommitted; make request and limit equal" $.key $resource) -}}
    {{- end -}}
  {{- else if contains "/" $resource -}}
    {{- fail (printf "%s.resources.limits.%s: a request for a device needs the same limit; set it" $.key $resource) -}}
  {{- end -}}
{{- end -}}
{{- $memory := include "cifar-dist.thousandths" $limits.memory | float64 -}}
{{- if gt (include "cifar-dist.thousandths" .spec.shm | float64) (mulf $memory 0.5) -}}
  {{- fail (printf "%s.shm: %s is more than half of the memory limit %v, which it counts against; lower it or raise %s.resources.limits.memory" .key .spec.shm $limits.memory .key) -}}
{{- end -}}
{{- with get $limits "ephemeral-storage" -}}
  {{- if gt (include "cifar-dist.thousandths" $.spec.tmp | float64) (include "cifar-dist.thousandths" . | float64) -}}
    {{- fail (printf "%s.tmp: %s is above the limit of ephemeral-storage %v, which it counts against; lower it" $.key $.spec.tmp .) -}}
  {{- end -}}
{{- end -}}
{{- if le (int64 .spec.terminationGracePeriodSeconds) (int64 .drain) -}}
  {{- fail (printf "%s.terminationGracePeriodSeconds: %v s end before a worker has drained for ray.drainSeconds=%v; make it longer" .key .spec.terminationGracePeriodSeconds .drain) -}}
{{- end -}}
{{- end -}}

{{/* (dict "key" "workerGroups.gpu" "spec" group "root" $) */}}
{{- define "cifar-dist.validate.group" -}}
{{- $group := .spec -}}
{{- include "cifar-dist.validate.container" (dict "key" .key "spec" $group "drain" .root.Values.ray.drainSeconds) -}}
{{- if gt (int64 $group.minReplicas) (int64 $group.maxReplicas) -}}
  {{- fail (printf "%s.minReplicas: %v is above maxReplicas %v" .key $group.minReplicas $group.maxReplicas) -}}
{{- end -}}
{{- if not (kindIs "invalid" $group.replicas) -}}
  {{- if or (lt (int64 $group.replicas) (int64 $group.minReplicas)) (gt (int64 $group.replicas) (int64 $group.maxReplicas)) -}}
    {{- fail (printf "%s.replicas: %v is not between minReplicas %v and maxReplicas %v" .key $group.replicas $group.minReplicas $group.maxReplicas) -}}
  {{- end -}}
{{- end -}}
{{- $devices := 0 -}}
{{- range $resource, $_ := $group.resources.limits -}}
  {{- if hasPrefix "nvidia.com/" $resource -}}
    {{- $devices = add $devices 1 -}}
    {{- if not (or (hasSuffix "gpu" $resource) (regexMatch "^nvidia\\.com/mig-[0-9]+g\\.[0-9]+gb$" $resource) (hasKey $group.rayResources "GPU")) -}}
      {{- fail (printf "%s.rayResources.GPU: KubeRay counts no GPU for %s; set it to \"1\"" $.key $resource) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if gt $devices 1 -}}
  {{- fail (printf "%s.resources.limits: names %d kinds of GPU; take one away by setting it to null" .key $devices) -}}
{{- end -}}
{{- include "cifar-dist.validate.labels" (dict "key" (printf "%s.labels" .key) "labels" $group.labels) -}}
{{- end -}}

{{/* Policies and services select by these: (dict "key" "commonLabels" "labels" …). */}}
{{- define "cifar-dist.validate.labels" -}}
{{- range $label, $_ := .labels -}}
  {{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh|cifar-dist\\.io|ray\\.io)/" $label -}}
    {{- fail (printf "%s: %s is set by the chart or by Ray; choose another prefix" $.key $label) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "cifar-dist.validate.ports" -}}
{{- $port := int64 .Values.metrics.port -}}
{{- if has $port (list (int64 6379) (int64 8080) (int64 8265) (int64 10001) (int64 44217) (int64 44227) (int64 52365)) -}}
  {{- fail (printf "metrics.port: %d is one of Ray's own; choose another, such as 9400" $port) -}}
{{- end -}}
{{- if lt $port 1024 -}}
  {{- fail (printf "metrics.port: %d needs a capability that pods here do not have; choose one from 1024 on" $port) -}}
{{- end -}}
{{- end -}}

{{- define "cifar-dist.validate.queue" -}}
{{- $values := .root.Values -}}
{{- $queue := $values.queue -}}
{{- if ne $queue.type "none" -}}
  {{- if not $queue.name -}}
    {{- fail (printf "queue.name: queue.type=%s needs the queue's name" $queue.type) -}}
  {{- end -}}
  {{- if $values.autoscaling.enabled -}}
    {{- fail (printf "autoscaling.enabled: queue.type=%s admits runs of fixed size; set autoscaling.enabled=false" $queue.type) -}}
  {{- end -}}
  {{- if $values.alpha.cron.enabled -}}
    {{- fail (printf "alpha.cron.enabled: KubeRay gives scheduled runs no label of queue.type=%s, so they would pass it by; switch one of them off" $queue.type) -}}
  {{- end -}}
  {{- if and (eq $queue.type "kueue") (gt (len .groups) 7) -}}
    {{- fail (printf "workerGroups: Kueue takes at most 7 groups, %d are enabled" (len .groups)) -}}
  {{- end -}}
{{- else if or $queue.name $queue.priorityClass $queue.clusterQueue -}}
  {{- fail "queue.type: none, but a queue is named; set it to kueue, volcano, yunikorn or kai" -}}
{{- end -}}
{{- if and $queue.clusterQueue (ne $queue.type "kueue") -}}
  {{- fail "queue.clusterQueue: only queue.type=kueue has LocalQueues; leave it empty" -}}
{{- end -}}
{{- end -}}

{{- define "cifar-dist.validate.job" -}}
{{- $job := .Values.job -}}
{{- if not $job.entrypoint -}}
  {{- fail "job.entrypoint: a run needs the command line that Ray runs; `cifar-dist submit` writes it" -}}
{{- end -}}
{{- if not .Values.store.uri -}}
  {{- fail "store.uri: a run's results lie there, and it resumes from there when a head is lost; set it to s3://bucket/prefix" -}}
{{- end -}}
{{- if and $job.render (not $job.name) -}}
  {{- fail "job.name: job.render=true needs the RayJob's name" -}}
{{- end -}}
{{- if ne .Values.ray.auth.mode "token" -}}
  {{- fail "ray.auth.mode: runs refuse a Ray without a token; set it to token" -}}
{{- end -}}
{{- $groups := include "cifar-dist.groups" . | fromYaml -}}
{{- $most := 0 -}}
{{- range $groups -}}{{- $most = add $most (.maxReplicas | int64) -}}{{- end -}}
{{- if eq (int64 $most) 0 -}}
  {{- fail "workerGroups: no enabled group has a pod; enable one with maxReplicas above 0" -}}
{{- end -}}
{{- end -}}
