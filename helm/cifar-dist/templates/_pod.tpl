{{/* The pods of Ray: one template for heads and workers of RayJob, RayCluster and RayCronJob. */}}

{{/* Volumes of a pod of ours: (dict "root" $ "tmp" "8Gi" "shm" "1Gi"). */}}
{{- define "cifar-dist.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .tmp }}}
{{- with .shm }}
- name: shm
  emptyDir: {medium: Memory, sizeLimit: {{ . }}}
{{- end }}
{{- with .root.Values.store.caSecret }}
- name: store-ca
  secret: {secretName: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end -}}

{{- define "cifar-dist.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- with .shm }}
- {name: shm, mountPath: /dev/shm}
{{- end }}
{{- with .root.Values.store.caSecret }}
- {name: store-ca, mountPath: /etc/cifar-dist/ca, readOnly: true}
{{- end }}
{{- end -}}

{{/* What Ray keeps objects in: four fifths of the shared memory, so that it never falls back to
     the disk below /tmp. */}}
{{- define "cifar-dist.objectStoreBytes" -}}
{{- div (mul (div (include "cifar-dist.thousandths" . | int64) 1000) 4) 5 -}}
{{- end -}}

{{/* Where a pod goes: (dict "root" $ "spec" .Values.head "tolerations" (list) "affinity" (dict)). */}}
{{- define "cifar-dist.scheduling" -}}
{{- $class := .spec.priorityClassName | default (ternary (include "cifar-dist.priorityClass" .root) "" .root.Values.priorityClass.create) -}}
{{- with $class }}
priorityClassName: {{ . }}
{{- end }}
{{- with .spec.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .spec.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "cifar-dist.noEviction" -}}
cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
karpenter.sh/do-not-disrupt: "true"
{{- end -}}

{{/* (dict "root" $ "run" name "plain" job.env) */}}
{{- define "cifar-dist.headPod" -}}
{{- $root := .root -}}
{{- $head := $root.Values.head -}}
{{- $mounts := dict "root" $root "tmp" $head.tmp "shm" $head.shm -}}
{{- $env := dict "root" $root "component" "head" "plain" .plain "extra" $head.extraEnv "key" "head.extraEnv" -}}
metadata:
  labels:
    {{- merge (include "cifar-dist.podLabels" (list $root "head") | fromYaml) (dict "cifar-dist.io/run" .run) $head.labels | toYaml | nindent 4 }}
  annotations:
    {{- mergeOverwrite (include "cifar-dist.noEviction" . | fromYaml) $head.annotations | toYaml | nindent 4 }}
spec:
  serviceAccountName: {{ include "cifar-dist.account" (list $root "head") }}
  # Only the autoscaler speaks to the API server.
  automountServiceAccountToken: {{ include "cifar-dist.autoscales" $root | default "false" }}
  enableServiceLinks: false
  restartPolicy: Never
  terminationGracePeriodSeconds: {{ $head.terminationGracePeriodSeconds | int64 }}
  {{- with include "cifar-dist.pullSecrets" $root.Values.image }}{{ . | trim | nindent 2 }}{{ end }}
  securityContext:
    {{- toYaml $root.Values.security.podSecurityContext | nindent 4 }}
  {{- with include "cifar-dist.scheduling" (dict "root" $root "spec" $head "tolerations" $head.tolerations "affinity" $head.affinity) }}{{ . | trim | nindent 2 }}{{ end }}
  containers:
    - name: ray-head
      image: {{ include "cifar-dist.image" (list $root $root.Values.image) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      ports:
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        - {name: client, containerPort: 10001}
        - {name: metrics, containerPort: 8080}
        - {name: as-metrics, containerPort: 44217}
        - {name: dash-metrics, containerPort: 44227}
        - {name: app-metrics, containerPort: {{ $root.Values.metrics.port | int64 }}}
      env:
        {{- include "cifar-dist.env" $env | nindent 8 }}
      resources:
        {{- toYaml $head.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.security.containerSecurityContext | nindent 8 }}
      volumeMounts:
        {{- include "cifar-dist.volumeMounts" $mounts | nindent 8 }}
  volumes:
    {{- include "cifar-dist.volumes" $mounts | nindent 4 }}
{{- end -}}

{{/* Tolerations of a group: its own, those of spot nodes, and that of GPU nodes. */}}
{{- define "cifar-dist.groupTolerations" -}}
{{- $tolerations := .group.tolerations | default list -}}
{{- if .group.spot -}}{{- $tolerations = concat $tolerations .root.Values.spotTolerations -}}{{- end -}}
{{- range $resource, $_ := merge (dict) (.group.resources.limits | default dict) (.group.resources.requests | default dict) -}}
  {{- if hasPrefix "nvidia.com/" $resource -}}
    {{- $tolerations = append $tolerations (dict "key" "nvidia.com/gpu" "operator" "Exists" "effect" "NoSchedule") -}}
  {{- end -}}
{{- end -}}
{{- uniq $tolerations | toJson -}}
{{- end -}}

{{- define "cifar-dist.groupAffinity" -}}
{{- $affinity := deepCopy (.group.affinity | default dict) -}}
{{- if and .group.spread (not (hasKey $affinity "podAntiAffinity")) -}}
  {{- $labels := dict "cifar-dist.io/run" .run "cifar-dist.io/group" .name -}}
  {{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels) -}}
  {{- $preferred := list (dict "weight" 100 "podAffinityTerm" $term) -}}
  {{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $preferred) -}}
{{- end -}}
{{- toJson $affinity -}}
{{- end -}}

{{/* (dict "root" $ "run" name "name" group "group" values) */}}
{{- define "cifar-dist.workerPod" -}}
{{- $root := .root -}}
{{- $group := .group -}}
{{- $mounts := dict "root" $root "tmp" $group.tmp "shm" $group.shm -}}
{{- $key := printf "workerGroups.%s.extraEnv" .name -}}
{{- $env := dict "root" $root "component" "worker" "extra" $group.extraEnv "key" $key -}}
{{- $annotations := dict -}}
{{- if not $group.spot -}}{{- $annotations = include "cifar-dist.noEviction" . | fromYaml -}}{{- end -}}
{{- $annotations = mergeOverwrite $annotations (deepCopy ($group.annotations | default dict)) -}}
metadata:
  labels:
    {{- merge (include "cifar-dist.podLabels" (list $root "worker") | fromYaml) (dict "cifar-dist.io/run" .run "cifar-dist.io/group" .name) ($group.labels | default dict) | toYaml | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "cifar-dist.account" (list $root "worker") }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  restartPolicy: Never
  terminationGracePeriodSeconds: {{ $group.terminationGracePeriodSeconds | int64 }}
  {{- with include "cifar-dist.pullSecrets" $root.Values.image }}{{ . | trim | nindent 2 }}{{ end }}
  securityContext:
    {{- toYaml $root.Values.security.podSecurityContext | nindent 4 }}
  {{- with include "cifar-dist.scheduling" (dict "root" $root "spec" $group "tolerations" (include "cifar-dist.groupTolerations" . | fromJsonArray) "affinity" (include "cifar-dist.groupAffinity" . | fromJson)) }}{{ . | trim | nindent 2 }}{{ end }}
  containers:
    - name: ray-worker
      image: {{ include "cifar-dist.image" (list $root $root.Values.image) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      ports:
        - {name: metrics, containerPort: 8080}
      env:
        {{- include "cifar-dist.env" $env | nindent 8 }}
      resources:
        {{- toYaml $group.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.security.containerSecurityContext | nindent 8 }}
      volumeMounts:
        {{- include "cifar-dist.volumeMounts" $mounts | nindent 8 }}
  volumes:
    {{- include "cifar-dist.volumes" $mounts | nindent 4 }}
{{- end -}}
