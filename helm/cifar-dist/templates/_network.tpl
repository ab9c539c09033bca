{{/* Building blocks of networkpolicy.yaml: who is meant, and how far an address reaches. */}}

{{/* Pods of this release by component: (list $ "head" "worker"). */}}
{{- define "cifar-dist.network.pods" -}}
matchLabels:
  {{- include "cifar-dist.selectorLabels" (first .) | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ rest . | toJson }}}
{{- end -}}

{{- define "cifar-dist.network.namespace" -}}
{kubernetes.io/metadata.name: {{ . | quote }}}
{{- end -}}

{{/* An IPv4 address as a number. */}}
{{- define "cifar-dist.network.number" -}}
{{- $number := 0 -}}
{{- range splitList "." . -}}{{- $number = add (mul $number 256) (atoi .) -}}{{- end -}}
{{- $number -}}
{{- end -}}

{{/* "true" if one IPv4 block lies in another: (list "169.254.0.0/16" "0.0.0.0/0"). */}}
{{- define "cifar-dist.network.within" -}}
{{- $inner := splitList "/" (first .) -}}
{{- $outer := splitList "/" (last .) -}}
{{- $size := 1 -}}
{{- range until (int (sub 32 (atoi (last $outer)))) -}}{{- $size = mul $size 2 -}}{{- end -}}
{{- $from := include "cifar-dist.network.number" (first $inner) | int64 -}}
{{- $to := include "cifar-dist.network.number" (first $outer) | int64 -}}
{{- if and (ge (atoi (last $inner)) (atoi (last $outer))) (eq (div $from $size) (div $to $size)) -}}true{{- end -}}
{{- end -}}

{{/* An ipBlock without what is link-local, where a node's metadata and its credentials lie:
     (dict "cidr" "0.0.0.0/0" "except" (list)). What lies outside the block is no exception to it. */}}
{{- define "cifar-dist.network.block" -}}
{{- $cidr := .cidr -}}
{{- $except := list -}}
{{- if contains ":" $cidr -}}
  {{- range .except -}}{{- if contains ":" . -}}{{- $except = append $except . -}}{{- end -}}{{- end -}}
  {{- if hasSuffix "/0" $cidr -}}{{- $except = append $except "fd00:ec2::/32" -}}{{- end -}}
{{- else -}}
  {{- if gt (atoi (last (splitList "/" $cidr))) 32 -}}
    {{- fail (printf "networkPolicy.egress: %s is no block of addresses; write it as 192.0.2.0/24" $cidr) -}}
  {{- end -}}
  {{- if include "cifar-dist.network.within" (list $cidr "169.254.0.0/16") -}}
    {{- fail (printf "networkPolicy.egress: %s is link-local, where nodes keep their metadata and credentials; name other addresses" $cidr) -}}
  {{- end -}}
  {{- range append (.except | default list) "169.254.0.0/16" -}}
    {{- if not (contains ":" .) -}}
      {{- if include "cifar-dist.network.within" (list . $cidr) -}}{{- $except = append $except . -}}{{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
ipBlock:
  cidr: {{ $cidr | quote }}
  {{- with $except }}
  except: {{ . | uniq | toJson }}
  {{- end }}
{{- end -}}

{{/* Where a cluster's own addresses lie, those of its API server among them. */}}
{{- define "cifar-dist.network.private" -}}
["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"]
{{- end -}}

{{/* The rules that lead to the store: the development store, what networkPolicy.egress.s3 names,
     or else where store.endpoint lies (Amazon, whose addresses change, without one). */}}
{{- define "cifar-dist.network.store" -}}
{{- if .Values.store.dev.enabled }}
- to:
    - podSelector:
        {{- include "cifar-dist.network.pods" (list . "store") | nindent 8 }}
  ports: [{protocol: TCP, port: 7070}]
{{- else if .Values.networkPolicy.egress.s3 }}
{{- range .Values.networkPolicy.egress.s3 }}
- to:
    {{- if .cidr }}
    - {{ include "cifar-dist.network.block" (dict "cidr" .cidr "except" .except) | nindent 6 | trim }}
    {{- else }}
    - namespaceSelector: {matchLabels: {{ include "cifar-dist.network.namespace" (required "networkPolicy.egress.s3: each entry needs a cidr or a namespace" .namespace) }}}
      {{- with .podLabels }}
      podSelector: {matchLabels: {{ toJson . }}}
      {{- end }}
    {{- end }}
  ports: [{protocol: TCP, port: {{ .port | default 443 | int }}}]
{{- end }}
{{- else if or .Values.store.uri .Values.data.uri }}
- to:
    - {{ include "cifar-dist.network.endpoint" . | nindent 6 | trim }}
  ports: [{protocol: TCP, port: {{ include "cifar-dist.network.endpointPort" . }}}]
{{- end }}
{{- end -}}

{{/* Where store.endpoint lies: this namespace or another one, one address, or the public ones. */}}
{{- define "cifar-dist.network.endpoint" -}}
{{- $host := "" -}}
{{- with .Values.store.endpoint -}}{{- $host = (urlParse .).hostname -}}{{- end -}}
{{- $ofService := "^.+\\.([^.]+)\\.svc(\\..+)?$" -}}
{{- if and $host (not (contains "." $host)) -}}
podSelector: {}
{{- else if regexMatch "^[0-9.]+$" $host -}}
{{ include "cifar-dist.network.block" (dict "cidr" (printf "%s/32" $host)) }}
{{- else if regexMatch $ofService $host -}}
namespaceSelector: {matchLabels: {{ include "cifar-dist.network.namespace" (regexReplaceAll $ofService $host "${1}") }}}
{{- else -}}
{{ include "cifar-dist.network.block" (dict "cidr" "0.0.0.0/0" "except" (include "cifar-dist.network.private" . | fromJsonArray)) }}
{{- end -}}
{{- end -}}

{{- define "cifar-dist.network.endpointPort" -}}
{{- $url := urlParse (.Values.store.endpoint | default "https://s3") -}}
{{- trimPrefix ":" (regexFind ":[0-9]+$" $url.host) | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end -}}
