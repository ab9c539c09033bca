{{/* "true" if an object of the Prometheus operator is wanted: (list $ "auto" "PodMonitor"). */}}
{{- define "cifar-dist.monitoring.wanted" -}}
{{- $root := index . 0 -}}
{{- $enabled := index . 1 | toString -}}
{{- $known := $root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" (index . 2)) -}}
{{- if or (eq $enabled "true") (and (eq $enabled "auto") $known) -}}true{{- end -}}
{{- end -}}
