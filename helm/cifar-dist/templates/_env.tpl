{{/* Variables of containers; every list is checked for names that come twice, which the API server
     refuses or drops. */}}

{{/* Where the S3 server is: as told, or the development store of this release. */}}
{{- define "cifar-dist.endpoint" -}}
{{- $dev := printf "http://%s-store.%s.svc:7070" (include "cifar-dist.fullname" .) .Release.Namespace -}}
{{- .Values.store.endpoint | default (ternary $dev "" .Values.store.dev.enabled) -}}
{{- end -}}

{{/* What every container of ours gets; that it writes below /tmp alone and calls nobody, the image says. */}}
{{- define "cifar-dist.env.common" -}}
- {name: RAY_AUTH_MODE, value: {{ .Values.ray.auth.mode }}}
- {name: CIFAR_DIST_LOG_FORMAT, value: {{ .Values.logging.format }}}
{{- end -}}

{{- define "cifar-dist.env.store" -}}
{{- $store := .Values.store }}
{{- with $store.uri }}
- {name: CIFAR_DIST_STORE, value: {{ quote . }}}
{{- end }}
{{- with include "cifar-dist.endpoint" . }}
- {name: AWS_ENDPOINT_URL, value: {{ quote . }}}
- {name: AWS_ENDPOINT_URL_S3, value: {{ quote . }}}
{{- end }}
- {name: AWS_REGION, value: {{ $store.region }}}
{{- with $store.checksums }}
- {name: AWS_REQUEST_CHECKSUM_CALCULATION, value: {{ . }}}
- {name: AWS_RESPONSE_CHECKSUM_VALIDATION, value: {{ . }}}
{{- end }}
{{- with $store.existingSecret }}
{{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- {name: {{ $key }}, valueFrom: {secretKeyRef: {name: {{ $store.existingSecret }}, key: {{ $key }}}}}
{{- end }}
{{- end }}
{{- with $store.caSecret }}
- {name: AWS_CA_BUNDLE, value: /etc/cifar-dist/ca/ca.crt}
{{- end }}
{{- /* A node's own role is never meant. */}}
{{- if not $store.irsaRoleArn }}
- {name: AWS_EC2_METADATA_DISABLED, value: "true"}
{{- end }}
{{- end -}}

{{- define "cifar-dist.env.ray" -}}
- {name: RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S, value: {{ .Values.ray.drainSeconds | int64 | quote }}}
- {name: RAY_TRAIN_HEALTH_CHECK_INTERVAL_S, value: "0.5"}
{{- end -}}

{{- define "cifar-dist.env.head" -}}
{{- $monitoring := .Values.monitoring -}}
- {name: CIFAR_DIST_LOG_FILE, value: /proc/1/fd/1}
- {name: CIFAR_DIST_METRICS_HOST, value: 0.0.0.0}
- {name: NVIDIA_VISIBLE_DEVICES, value: void}
{{- with include "cifar-dist.limits" . }}
- {name: CIFAR_DIST_CLUSTER_LIMITS, value: {{ quote . }}}
{{- end }}
{{- /* What a stopped driver has to commit before Ray kills it, 3 s by default. */}}
- {name: RAY_JOB_STOP_WAIT_TIME_S, value: {{ .Values.ray.drainSeconds | int64 | quote }}}
{{- with $monitoring.prometheus.host }}
- {name: RAY_PROMETHEUS_HOST, value: {{ quote . }}}
- {name: RAY_PROMETHEUS_NAME, value: {{ quote $monitoring.prometheus.name }}}
{{- end }}
{{- with $monitoring.grafana.host }}
- {name: RAY_GRAFANA_HOST, value: {{ quote . }}}
{{- end }}
{{- with $monitoring.grafana.iframeHost }}
- {name: RAY_GRAFANA_IFRAME_HOST, value: {{ quote . }}}
{{- end }}
{{- end -}}

{{/* All of one Ray container: (dict "root" $ "component" "head" "extra" extraEnv "plain" job.env
     "key" "head.extraEnv"). */}}
{{- define "cifar-dist.env" -}}
{{- $env := concat (include "cifar-dist.env.common" .root | fromYamlArray) (include "cifar-dist.env.ray" .root | fromYamlArray) (include "cifar-dist.env.store" .root | fromYamlArray) -}}
{{- if eq .component "head" -}}
  {{- $env = concat $env (include "cifar-dist.env.head" .root | fromYamlArray) -}}
{{- end -}}
{{- $plain := list -}}
{{- range $name, $value := .plain -}}
  {{- $plain = append $plain (dict "name" $name "value" $value) -}}
{{- end -}}
{{- $extra := .extra | default list -}}
{{- $names := dict -}}
{{- range list (list .key $env) (list "job.env" $plain) (list .key $extra) -}}
  {{- $key := first . -}}
  {{- range last . -}}
    {{- $name := .name | default "" | toString -}}
    {{- if not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $name) -}}
      {{- fail (printf "%s: %q is no name of a variable; write {name: NAME, value: \"…\"}" $key $name) -}}
    {{- end -}}
    {{- if hasKey $names $name -}}
      {{- fail (printf "%s: %s is set twice; the chart sets it already, or two entries name it: remove one" $key $name) -}}
    {{- end -}}
    {{- if and (hasKey . "value") (not (kindIs "string" .value)) -}}
      {{- fail (printf "%s: the value of %s is no text; write it in quotes" $key $name) -}}
    {{- end -}}
    {{- if and .value (regexMatch "(?i)(SECRET|TOKEN|PASSWORD|CREDENTIAL|ACCESS_?KEY|API_?KEY)(_ID)?$" $name) -}}
      {{- fail (printf "%s: %s would stand in the manifest for whoever may read it; take it from a Secret, by extraEnv and valueFrom" $key $name) -}}
    {{- end -}}
    {{- $_ := set $names $name true -}}
  {{- end -}}
{{- end -}}
{{- concat $env $plain $extra | toYaml -}}
{{- end -}}
