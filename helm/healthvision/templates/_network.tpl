{{/* Ports of TCP. Takes a list. */}}
{{- define "healthvision.tcpPorts" -}}
ports:
{{- range uniq . }}
  - { protocol: TCP, port: {{ int . }} }
{{- end }}
{{- end -}}

{{/* One rule of egress. Takes (dict "to" (list …) "ports" (list …)); no peers are every address. */}}
{{- define "healthvision.egress" -}}
- {{ include "healthvision.tcpPorts" .ports | nindent 2 | trim }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The port of S3: that of its endpoint, else of https or http. */}}
{{- define "healthvision.s3Port" -}}
{{- $url := urlParse (include "healthvision.s3Endpoint" . | default "https://aws") -}}
{{- $host := $url.host -}}
{{- if regexMatch ":[0-9]+$" $host -}}{{- regexFind "[0-9]+$" $host -}}{{- else if eq $url.scheme "http" -}}80{{- else -}}443{{- end -}}
{{- end -}}

{{/* Pods of the release of some components. Takes (dict "root" $ "components" (list …)). */}}
{{- define "healthvision.podsOf" -}}
matchLabels:
  {{- include "healthvision.selectorLabels" (dict "root" .root) | nindent 2 }}
matchExpressions:
  - { key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }} }
{{- end -}}

{{/* Rules that let a process reach database, queue and blobs. */}}
{{- define "healthvision.storeEgress" -}}
{{- $network := .Values.networkPolicy -}}
{{- $bundled := .Values.evaluation.enabled -}}
{{ include "healthvision.egress" (ternary (dict "ports" (list 5432) "to" (list (dict "podSelector" (include "healthvision.podsOf" (dict "root" . "components" (list "postgresql")) | fromYaml)))) $network.database $bundled) }}
{{- if eq .Values.queue.backend "redis" }}
{{ include "healthvision.egress" (ternary (dict "ports" (list 6379) "to" (list (dict "podSelector" (include "healthvision.podsOf" (dict "root" . "components" (list "redis")) | fromYaml)))) $network.redis $bundled) }}
{{- end }}
{{- if eq .Values.blobs.store "s3" }}
{{- if and $bundled (not .Values.blobs.s3.endpoint) }}
{{ include "healthvision.egress" (dict "ports" (list 9000) "to" (list (dict "podSelector" (include "healthvision.podsOf" (dict "root" . "components" (list "minio")) | fromYaml)))) }}
{{- else }}
{{ include "healthvision.egress" (dict "ports" (append $network.s3.ports (include "healthvision.s3Port" . | int)) "to" $network.s3.to) }}
{{- if eq .Values.blobs.s3.credentials "pod" }}
# Where Amazon's agent hands out the role of a pod.
{{ include "healthvision.egress" (dict "ports" (list 80) "to" (list (dict "ipBlock" (dict "cidr" "169.254.170.23/32")))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Rules for names. */}}
{{- define "healthvision.dnsEgress" -}}
- ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - { protocol: UDP, port: {{ int . }} }
    - { protocol: TCP, port: {{ int . }} }
    {{- end }}
  to:
    {{- toYaml .Values.networkPolicy.dns.to | nindent 4 }}
{{- end -}}
