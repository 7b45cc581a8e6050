{{/* Pod Security "restricted", for the pod. */}}
{{- define "healthvision.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- if .Values.podSecurity.fixedIds }}
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* And for each container. */}}
{{- define "healthvision.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Annotations of a pod. Takes (dict "root" $ "component" "api" "own" (dict …)). */}}
{{- define "healthvision.podAnnotations" -}}
{{- $annotations := merge (dict) (.own | default dict) .root.Values.podAnnotations -}}
{{- with include "healthvision.vaultAnnotations" . -}}
{{- $annotations = merge $annotations (fromYaml .) -}}
{{- end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Where a pod keeps its files. Takes (dict "root" $ "hasData" true): jobs that only need somewhere to write have no data. */}}
{{- define "healthvision.volumes" -}}
{{- $values := .root.Values -}}
- name: tmp
  {{- if .tmpSize }}
  emptyDir:
    sizeLimit: {{ .tmpSize }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ $values.scratch.tmpSize }}
  {{- end }}
- name: data
  {{- if and .hasData (eq $values.blobs.store "fs") }}
  persistentVolumeClaim:
    claimName: {{ $values.blobs.volume.existingClaim | default (printf "%s-data" (include "healthvision.fullname" .root)) }}
  {{- else if and .hasData $values.scratch.storageClass }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ $values.scratch.storageClass }}
        resources:
          requests:
            storage: {{ $values.scratch.size }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ $values.scratch.size }}
  {{- end }}
{{- if and .hasData (eq $values.audit.failure "queue") (eq $values.blobs.store "s3") }}
- name: audit-queue
  persistentVolumeClaim:
    claimName: {{ $values.audit.volume.existingClaim | default (printf "%s-audit-queue" (include "healthvision.fullname" .root)) }}
{{- end }}
{{- if $values.trustedCa.configMap }}
- name: trusted-ca
  configMap:
    name: {{ $values.trustedCa.configMap }}
    items:
      - key: {{ $values.trustedCa.key }}
        path: ca.crt
{{- else if $values.trustedCa.secret }}
- name: trusted-ca
  secret:
    secretName: {{ $values.trustedCa.secret }}
    items:
      - key: {{ $values.trustedCa.key }}
        path: ca.crt
{{- end }}
{{- if $values.models.existingClaim }}
- name: models
  persistentVolumeClaim:
    claimName: {{ $values.models.existingClaim }}
    readOnly: true
{{- end }}
{{- if $values.models.signers.configMap }}
- name: signers
  configMap:
    name: {{ $values.models.signers.configMap }}
    items:
      - key: {{ $values.models.signers.key }}
        path: signers
{{- end }}
{{- if eq $values.secrets.from "vault" }}
- name: vault-token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ $values.secrets.vault.audience }}
          expirationSeconds: 3600
{{- end }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "healthvision.volumeMounts" -}}
{{- $values := .root.Values -}}
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /var/lib/healthvision
{{- if and .hasData (eq $values.audit.failure "queue") (eq $values.blobs.store "s3") }}
- name: audit-queue
  mountPath: /var/lib/healthvision/audit-queue
{{- end }}
{{- if include "healthvision.hasTrustedCa" .root }}
- name: trusted-ca
  mountPath: /etc/healthvision/ca
  readOnly: true
{{- end }}
{{- if $values.models.existingClaim }}
- name: models
  mountPath: /models
  readOnly: true
{{- end }}
{{- if $values.models.signers.configMap }}
- name: signers
  mountPath: /etc/healthvision/signers
  readOnly: true
{{- end }}
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes (dict "scheme" "HTTP" "probes" .Values.probes). The metrics port answers nothing but /metrics: all roles are probed at http. */}}
{{- define "healthvision.probes" -}}
startupProbe:
  httpGet:
    path: /health
    port: http
    scheme: {{ .scheme }}
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: {{ .probes.startupFailures }}
livenessProbe:
  httpGet:
    path: /health
    port: http
    scheme: {{ .scheme }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
# It asks database, queue and storage, each of which may take three seconds.
readinessProbe:
  httpGet:
    path: /ready
    port: http
    scheme: {{ .scheme }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}

{{/* Spread over zones and hosts, and where it may run. Takes (dict "root" $ "selector" "labels as text" "own" .Values.api). */}}
{{- define "healthvision.placement" -}}
{{- $spread := .root.Values.topologySpread -}}
topologySpreadConstraints:
{{- range $key, $wanted := dict "topology.kubernetes.io/zone" $spread.zone "kubernetes.io/hostname" $spread.host }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $wanted }}
    # A node that takes no such pod is none that lacks one.
    nodeTaintsPolicy: Honor
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- $.selector | nindent 8 }}
{{- end }}
{{- include "healthvision.nodes" .own }}
{{- end -}}

{{/* On which nodes. Takes what has nodeSelector, tolerations, affinity and priorityClassName. */}}
{{- define "healthvision.nodes" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
