{{/* What the pods of `helm test` have in common. */}}
{{- define "cifar-dist.testPod" -}}
serviceAccountName: {{ include "cifar-dist.account" (list . "worker") }}
automountServiceAccountToken: false
enableServiceLinks: false
restartPolicy: Never
activeDeadlineSeconds: 600
{{- include "cifar-dist.pullSecrets" .Values.image }}
securityContext:
  {{- toYaml .Values.security.podSecurityContext | nindent 2 }}
{{- end -}}
