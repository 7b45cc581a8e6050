{{/*
A server of the evaluation: one pod with one volume, and a Service.
Takes (dict "root" $ "name" "redis" "own" … "port" 6379 "user" 999 "mountPath" "/data" "command" (list …) "args" (list …) "env" "…" "probe" "…" "scratch" (list "/tmp")).
*/}}
{{- define "healthvision.bundled" -}}
{{- $full := include "healthvision.fullname" .root -}}
{{- $selector := include "healthvision.selectorLabels" (dict "root" .root "component" .name) -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $full }}-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "healthvision.labels" (dict "root" .root "component" .name) | nindent 4 }}
spec:
  selector:
    {{- $selector | nindent 4 }}
  ports:
    - { name: {{ .name }}, port: {{ .port }}, targetPort: {{ .name }} }
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $full }}-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "healthvision.labels" (dict "root" .root "component" .name) | nindent 4 }}
spec:
  serviceName: {{ $full }}-{{ .name }}
  replicas: 1
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- $selector | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        runAsNonRoot: true
        {{- if .root.Values.podSecurity.fixedIds }}
        runAsUser: {{ .user }}
        runAsGroup: {{ .user }}
        fsGroup: {{ .user }}
        {{- end }}
        seccompProfile:
          type: RuntimeDefault
      {{- include "healthvision.pullSecrets" .root | nindent 6 }}
      terminationGracePeriodSeconds: 60
      containers:
        - name: {{ .name }}
          image: {{ include "healthvision.imageOf" (dict "root" .root "image" .own.image) | quote }}
          {{- with .command }}
          command: {{ toJson . }}
          {{- end }}
          {{- with .args }}
          args: {{ toJson . }}
          {{- end }}
          {{- include "healthvision.containerSecurity" .root | nindent 10 }}
          env:
            {{- .env | nindent 12 }}
          ports:
            - { name: {{ .name }}, containerPort: {{ .port }} }
          readinessProbe:
            {{- .probe | nindent 12 }}
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml .own.resources | nindent 12 }}
          volumeMounts:
            - { name: data, mountPath: {{ .mountPath }} }
            {{- range $index, $path := .scratch }}
            - { name: scratch, mountPath: {{ $path }}, subPath: scratch-{{ $index }} }
            {{- end }}
      volumes:
        - name: scratch
          emptyDir: {}
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .root.Values.evaluation.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .own.size }}
{{- end -}}

{{/* A variable from the Secret that was made up. Takes (dict "root" $ "name" … "key" …). */}}
{{- define "healthvision.madeUp" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: { name: {{ include "healthvision.secretName" .root }}, key: {{ .key }} }
{{- end -}}
