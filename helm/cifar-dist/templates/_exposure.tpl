{{/* The Service that KubeRay makes for the head of the release's RayCluster. */}}
{{- define "cifar-dist.headService" -}}
{{ include "cifar-dist.fullname" . }}-head-svc
{{- end -}}
