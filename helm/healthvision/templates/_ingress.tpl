{{/* Annotations of an Ingress: what the controller needs for uploads of gigabytes and for events that never end; then those of the values, which are stronger. */}}
{{- define "healthvision.ingressAnnotations" -}}
{{- $ingress := .Values.ingress -}}
{{- $seconds := $ingress.timeoutSeconds | int -}}
{{- $own := dict -}}
{{- if eq $ingress.controller "nginx" -}}
{{- $own = dict
      "nginx.ingress.kubernetes.io/backend-protocol" (ternary "HTTPS" "HTTP" .Values.tls.enabled)
      "nginx.ingress.kubernetes.io/force-ssl-redirect" "true"
      "nginx.ingress.kubernetes.io/proxy-body-size" (toString $ingress.bodySize)
      "nginx.ingress.kubernetes.io/proxy-request-buffering" "off"
      "nginx.ingress.kubernetes.io/proxy-buffering" "off"
      "nginx.ingress.kubernetes.io/proxy-read-timeout" (toString $seconds)
      "nginx.ingress.kubernetes.io/proxy-send-timeout" (toString $seconds)
-}}
{{- if eq $ingress.tls13 "snippet" -}}
{{- $_ := set $own "nginx.ingress.kubernetes.io/server-snippet" "ssl_protocols TLSv1.3;" -}}
{{- else if eq $ingress.tls13 "passthrough" -}}
{{- $_ := set $own "nginx.ingress.kubernetes.io/ssl-passthrough" "true" -}}
{{- end -}}
{{- else if eq $ingress.controller "alb" -}}
{{- $protocol := ternary "HTTPS" "HTTP" .Values.tls.enabled -}}
{{- $own = dict
      "alb.ingress.kubernetes.io/target-type" "ip"
      "alb.ingress.kubernetes.io/backend-protocol" $protocol
      "alb.ingress.kubernetes.io/healthcheck-path" "/ready"
      "alb.ingress.kubernetes.io/healthcheck-protocol" $protocol
      "alb.ingress.kubernetes.io/listen-ports" "[{\"HTTP\":80},{\"HTTPS\":443}]"
      "alb.ingress.kubernetes.io/ssl-redirect" "443"
      "alb.ingress.kubernetes.io/ssl-policy" "ELBSecurityPolicy-TLS13-1-3-2021-06"
      "alb.ingress.kubernetes.io/load-balancer-attributes" (printf "idle_timeout.timeout_seconds=%d,routing.http.drop_invalid_header_fields.enabled=true" (min $seconds 4000))
      "alb.ingress.kubernetes.io/target-group-attributes" "deregistration_delay.timeout_seconds=30"
-}}
{{- end -}}
{{- with merge (dict) $ingress.annotations $own -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* Takes (dict "root" $ "hosts" (list …)). */}}
{{- define "healthvision.ingressTls" -}}
{{- with .root.Values.ingress.tlsSecret -}}
tls:
  - hosts: {{ toJson $.hosts }}
    secretName: {{ . }}
{{- end -}}
{{- end -}}
