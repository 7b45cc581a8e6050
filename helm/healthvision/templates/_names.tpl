{{/*
The beginning of every name. 36 characters at most, so that the longest one made of it still fits where Kubernetes
wants 52 (CronJobs) or 63 (labels, Services); what was cut off lives on in a digest, so that two long releases stay apart.
*/}}
{{- define "healthvision.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $full = .Values.fullnameOverride -}}
{{- else if not (contains $name .Release.Name) -}}
{{- $full = printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- if gt (len $full) 36 -}}
{{- printf "%s-%s" ($full | trunc 29 | trimSuffix "-") ($full | sha256sum | trunc 6) -}}
{{- else -}}
{{- $full | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "healthvision.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What selectors name: it never changes while a release lives. Takes (dict "root" $ "component" "api"). */}}
{{- define "healthvision.selectorLabels" -}}
app.kubernetes.io/name: {{ include "healthvision.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name | trunc 63 | trimSuffix "-" }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of an object. Takes (dict "root" $ "component" "api"). */}}
{{- define "healthvision.labels" -}}
{{ include "healthvision.selectorLabels" . }}
app.kubernetes.io/part-of: healthvision
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The Secret that holds the variables, whoever makes it. */}}
{{- define "healthvision.secretName" -}}
{{- if .Values.secrets.name -}}
{{- .Values.secrets.name -}}
{{- else -}}
{{- printf "%s-secrets" (include "healthvision.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Where the self-test calls: the Service, or the public address when the certificate is for that. */}}
{{- define "healthvision.selftestUrl" -}}
{{- if .Values.selftest.url -}}
{{- .Values.selftest.url -}}
{{- else if and .Values.tls.enabled .Values.publicUrl -}}
{{- trimSuffix "/" .Values.publicUrl -}}
{{- else -}}
{{- printf "http://%s-api.%s.svc:8080" (include "healthvision.fullname" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* Host name of publicUrl. */}}
{{- define "healthvision.publicHost" -}}
{{- (urlParse .Values.publicUrl).hostname -}}
{{- end -}}

{{/* "true" while a restore has the installation for itself. */}}
{{- define "healthvision.isRestoring" -}}
{{- if .Values.restore.enabled }}true{{ end -}}
{{- end -}}
