{{/* A number or text as an environment variable has it; large numbers without an exponent. */}}
{{- define "healthvision.plain" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{/* Variables that every process of the installation has. */}}
{{- define "healthvision.sharedEnv" -}}
{{- $values := .Values -}}
- name: NODE_ENV
  value: production
- name: DATA_DIR
  value: /var/lib/healthvision
{{- with $values.publicUrl }}
- name: PUBLIC_URL
  value: {{ trimSuffix "/" . | quote }}
{{- end }}
- name: QUEUE_BACKEND
  value: {{ $values.queue.backend }}
{{- if and (eq $values.queue.backend "redis") $values.queue.redis.sentinels }}
- name: REDIS_SENTINELS
  value: {{ join "," $values.queue.redis.sentinels | quote }}
{{- end }}
- name: BLOB_STORE
  value: {{ $values.blobs.store }}
{{- if eq $values.blobs.store "s3" }}
- name: S3_BUCKET
  value: {{ $values.blobs.s3.bucket | default "healthvision" | quote }}
{{- with include "healthvision.s3Endpoint" . }}
- name: S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
- name: S3_REGION
  value: {{ $values.blobs.s3.region | quote }}
{{- end }}
{{- if include "healthvision.hasTrustedCa" . }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/healthvision/ca/ca.crt
{{- range $name, $wanted := dict "DATABASE_CA_FILE" $values.database.useTrustedCa "REDIS_CA_FILE" (and (eq $values.queue.backend "redis") $values.queue.redis.useTrustedCa) "S3_CA_FILE" (and (eq $values.blobs.store "s3") $values.blobs.s3.useTrustedCa) }}
{{- if $wanted }}
- name: {{ $name }}
  value: /etc/healthvision/ca/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- if $values.dimse.enabled }}
- name: DIMSE_PORT
  value: "11112"
- name: DIMSE_AE_TITLE
  value: {{ $values.dimse.aeTitle | quote }}
{{- end }}
{{- if $values.smtp.enabled }}
- name: MAIL_FROM
  value: {{ $values.smtp.from | quote }}
{{- end }}
{{- with $values.oidc.issuers }}
- name: OIDC_ISSUERS
  value: {{ toJson . | quote }}
{{- end }}
{{- if $values.models.existingClaim }}
- name: MODELS_DIR
  value: /models
{{- end }}
{{- if $values.models.signers.configMap }}
- name: MODEL_SIGNERS
  value: /etc/healthvision/signers/signers
- name: MODEL_SIGNATURE_REQUIRED
  value: {{ $values.models.signers.required | quote }}
{{- end }}
- name: AUDIT_FAILURE
  value: {{ $values.audit.failure }}
{{- if and (not (hasKey $values.settings "TRUST_PROXY")) (include "healthvision.isProxied" .) }}
- name: TRUST_PROXY
  value: "1"
{{- end }}
{{- range $name, $value := $values.settings }}
- name: {{ $name }}
  value: {{ include "healthvision.plain" $value | quote }}
{{- end }}
{{- end -}}

{{/* What servers have beside that. Takes (dict "root" $ "role" "api"). */}}
{{- define "healthvision.serverEnv" -}}
- name: APP_ROLE
  value: {{ .role }}
- name: PORT
  value: "8080"
- name: METRICS_PORT
  value: "9464"
{{- with .root.Values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_SERVICE_NAME
  value: healthvision-{{ $.role }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $.root.Values.tracing.sampleRatio | quote }}
{{- end }}
{{- end -}}

{{- define "healthvision.tlsEnv" -}}
{{- if .Values.tls.enabled -}}
- name: TLS_CERT_FILE
  value: /etc/healthvision/tls/tls.crt
- name: TLS_KEY_FILE
  value: /etc/healthvision/tls/tls.key
{{- if .Values.tls.clientCa.secret }}
- name: TLS_CLIENT_CA_FILE
  value: /etc/healthvision/client-ca/ca.crt
{{- end }}
{{- end -}}
{{- end -}}

{{/* Where S3 is; nothing for AWS. */}}
{{- define "healthvision.s3Endpoint" -}}
{{- if .Values.blobs.s3.endpoint -}}
{{- .Values.blobs.s3.endpoint -}}
{{- else if .Values.evaluation.enabled -}}
{{- printf "http://%s-minio:9000" (include "healthvision.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "healthvision.hasTrustedCa" -}}
{{- if or .Values.trustedCa.configMap .Values.trustedCa.secret -}}true{{- end -}}
{{- end -}}

{{/* "true" when requests come through one proxy that says who sent them. */}}
{{- define "healthvision.isProxied" -}}
{{- if or (and .Values.ingress.enabled (ne .Values.ingress.tls13 "passthrough")) .Values.gateway.enabled -}}true{{- end -}}
{{- end -}}
