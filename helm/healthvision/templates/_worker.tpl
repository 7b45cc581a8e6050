{{/*
A Deployment of workers.
Takes (dict "root" $ "component" "cpu-worker" "own" .Values.cpuWorker "image" … "queues" "a,b" "isGpu" false).
*/}}
{{- define "healthvision.worker" -}}
{{- $root := .root -}}
{{- $own := .own -}}
{{- $full := include "healthvision.fullname" $root -}}
{{- $selector := include "healthvision.selectorLabels" (dict "root" $root "component" .component) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $full }}-{{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "healthvision.labels" (dict "root" $root "component" .component) | nindent 4 }}
spec:
  {{- if include "healthvision.isRestoring" $root }}
  replicas: 0
  {{- else if eq $own.autoscaling.by "off" }}
  replicas: {{ $own.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  progressDeadlineSeconds: 900
  strategy:
    type: RollingUpdate
    rollingUpdate:
      {{- toYaml $own.rollingUpdate | nindent 6 }}
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- $selector | nindent 8 }}
      {{- include "healthvision.podAnnotations" (dict "root" $root "component" .component "own" (merge (dict) $own.podAnnotations (fromYaml (include "healthvision.scrapeAnnotations" $root)))) | nindent 6 }}
    spec:
      serviceAccountName: {{ $full }}-{{ .component }}
      {{- include "healthvision.podSecurity" $root | nindent 6 }}
      {{- include "healthvision.pullSecrets" $root | nindent 6 }}
      terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
      {{- if and .isGpu $own.gpu.runtimeClassName }}
      runtimeClassName: {{ $own.gpu.runtimeClassName }}
      {{- end }}
      {{- include "healthvision.placement" (dict "root" $root "selector" $selector "own" $own) | nindent 6 }}
      containers:
        - name: worker
          image: {{ .image | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [start]
          {{- include "healthvision.containerSecurity" $root | nindent 10 }}
          env:
            {{- include "healthvision.serverEnv" (dict "root" $root "role" "worker") | nindent 12 }}
            {{- /* Unsaid it is all, those of a later version as well. */}}
            {{- if ne .queues (include "healthvision.allQueues" $root) }}
            - name: WORKER_QUEUES
              value: {{ .queues | quote }}
            {{- end }}
            - name: WORKER_CONCURRENCY
              value: {{ $own.concurrency | quote }}
            # The cores of its limit, not those of the node.
            - name: INFERENCE_THREADS
              valueFrom:
                resourceFieldRef: { containerName: worker, resource: limits.cpu, divisor: "1" }
            {{- if .isGpu }}
            - name: EXECUTION_PROVIDERS
              value: {{ join "," $own.executionProviders | quote }}
            - name: EXECUTION_PROVIDERS_STRICT
              value: {{ $own.strict | quote }}
            # Of the one device that the container sees.
            - name: GPU_DEVICE_ID
              value: "0"
            {{- end }}
            {{- include "healthvision.sharedEnv" $root | nindent 12 }}
            {{- include "healthvision.secretEnv" (dict "root" $root "component" .component) | nindent 12 }}
            {{- with concat $root.Values.extraEnv $own.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - { name: http, containerPort: 8080 }
            - { name: metrics, containerPort: 9464 }
          {{- include "healthvision.probes" (dict "scheme" "HTTP" "probes" $root.Values.probes) | nindent 10 }}
          resources:
            {{- $resources := deepCopy $own.resources }}
            {{- if .isGpu }}
            {{- $_ := set $resources "limits" (merge (dict $own.gpu.resource 1) ($resources.limits | default dict)) }}
            {{- end }}
            {{- toYaml $resources | nindent 12 }}
          volumeMounts:
            {{- include "healthvision.volumeMounts" (dict "root" $root "hasData" true) | nindent 12 }}
      volumes:
        {{- include "healthvision.volumes" (dict "root" $root "hasData" true) | nindent 8 }}
{{- end -}}

{{/* keda, hpa or off: what scales a kind of workers. Takes (dict "root" $ "own" .Values.cpuWorker). */}}
{{- define "healthvision.scaler" -}}
{{- $by := .own.autoscaling.by -}}
{{- if include "healthvision.isRestoring" .root -}}
off
{{- else if eq $by "auto" -}}
{{- ternary "keda" "hpa" (.root.Capabilities.APIVersions.Has "keda.sh/v1alpha1") -}}
{{- else -}}
{{- $by -}}
{{- end -}}
{{- end -}}
