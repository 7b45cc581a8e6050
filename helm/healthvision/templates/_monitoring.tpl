{{- define "healthvision.scrapeAnnotations" -}}
{{- if .Values.monitoring.annotations -}}
prometheus.io/scrape: "true"
prometheus.io/port: "9464"
prometheus.io/path: /metrics
{{- end -}}
{{- end -}}
