{{/* The Secret with the token of the release's own RayCluster; KubeRay names its own as the cluster. */}}
{{- define "cifar-dist.tokenSecret" -}}
{{- if eq .Values.ray.auth.mode "token" -}}
{{- .Values.ray.auth.existingSecret | default (include "cifar-dist.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* What NOTES.txt warns of, as a JSON list of sentences. */}}
{{- define "cifar-dist.warnings" -}}
{{- $found := list -}}
{{- if not (.Capabilities.APIVersions.Has "ray.io/v1/RayJob") -}}
  {{- $found = append $found "this cluster knows no RayJob: install the KubeRay operator (helm install kuberay-operator kuberay-operator --repo https://ray-project.github.io/kuberay-helm --version 1.7.0 -n kuberay-system --create-namespace)." -}}
{{- end -}}
{{- if ne .Values.ray.auth.mode "token" -}}
  {{- $found = append $found "ray.auth.mode is disabled: whoever reaches port 8265 runs code with your accounts and your bucket." -}}
{{- end -}}
{{- if not .Values.networkPolicy.enabled -}}
  {{- $found = append $found "networkPolicy.enabled is false: any pod of the cluster reaches Ray and its metrics, and pods reach whatever they like." -}}
{{- end -}}
{{- if not .Values.store.uri -}}
  {{- $found = append $found "store.uri is empty: each run must name its bucket with --store, or nothing outlives its pod." -}}
{{- end -}}
{{- if and .Values.store.dev.enabled .Values.store.dev.ephemeral -}}
  {{- $found = append $found "store.dev.ephemeral is true: runs, checkpoints and reports are lost with the store's pod." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.gcsFaultTolerance.enabled (eq .Values.gcsFaultTolerance.backend "redis") (not .Values.networkPolicy.egress.extra) -}}
  {{- $found = append $found "networkPolicy.egress.extra is empty: let the head reach Redis, or it will not start." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.egress.s3) .Values.store.endpoint (contains "0.0.0.0/0" (include "cifar-dist.network.endpoint" .)) -}}
  {{- $found = append $found (printf "networkPolicy.egress.s3 is empty: %s is reached at public addresses only; if its address is a private one, name it there." .Values.store.endpoint) -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.store.irsaRoleArn .Values.networkPolicy.egress.s3 (not .Values.networkPolicy.egress.extra) -}}
  {{- $found = append $found (printf "networkPolicy.egress.s3 replaces the way to all public addresses: let pods reach AWS STS (sts.%s.amazonaws.com:443) by it or by networkPolicy.egress.extra, or they get no credentials from store.irsaRoleArn." .Values.store.region) -}}
{{- end -}}
{{- if .Values.alpha.cron.enabled -}}
  {{- $found = append $found "alpha.cron needs the operator's feature gate RayCronJob; without it nothing ever starts. `cifar-dist submit ls` does not list its runs: kubectl get rayjobs does." -}}
{{- end -}}
{{- if .Values.alpha.embeddedStorage -}}
  {{- $found = append $found "alpha.embeddedStorage needs the operator's feature gate GCSFaultToleranceEmbeddedStorage." -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
