{{/*
The pod of a Job that runs a command of the product once, as a PodTemplateSpec.
Takes (dict "root" $ "component" "backup" "account" "jobs" "args" (list …) "resources" … "hasData" true "tmpSize" "" "mounts" "…" "volumes" "…").
*/}}
{{- define "healthvision.jobPod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "healthvision.selectorLabels" (dict "root" $root "component" .component) | nindent 4 }}
  {{- include "healthvision.podAnnotations" (dict "root" $root "component" .component) | nindent 2 }}
spec:
  restartPolicy: {{ .restartPolicy | default "Never" }}
  serviceAccountName: {{ include "healthvision.fullname" $root }}-{{ .account }}
  {{- include "healthvision.podSecurity" $root | nindent 2 }}
  {{- include "healthvision.pullSecrets" $root | nindent 2 }}
  {{- include "healthvision.nodes" $root.Values.jobs | nindent 2 }}
  containers:
    - name: {{ .component }}
      image: {{ include "healthvision.cpuImage" (dict "root" $root "tag" .tag) | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      {{- include "healthvision.containerSecurity" $root | nindent 6 }}
      env:
        {{- include "healthvision.sharedEnv" $root | nindent 8 }}
        {{- include "healthvision.secretEnv" (dict "root" $root "component" .component) | nindent 8 }}
        {{- with $root.Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        {{- include "healthvision.volumeMounts" (dict "root" $root "hasData" .hasData) | nindent 8 }}
        {{- with .mounts }}
        {{- . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "healthvision.volumes" (dict "root" $root "hasData" .hasData "tmpSize" .tmpSize) | nindent 4 }}
    {{- with .volumes }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The tag of what works on the data of now. */}}
{{- define "healthvision.activeTag" -}}
{{- include "healthvision.colourTag" (dict "root" . "colour" (include "healthvision.activeColour" .)) -}}
{{- end -}}

{{/* The claim of the backups. */}}
{{- define "healthvision.backupClaim" -}}
{{- .Values.backup.volume.existingClaim | default (printf "%s-backup" (include "healthvision.fullname" .)) -}}
{{- end -}}

{{/* A volume with a key of a Secret. Takes (dict "secret" … "key" …). */}}
{{- define "healthvision.openingVolume" -}}
- name: opening
  secret:
    secretName: {{ .secret }}
    items:
      - { key: {{ .key }}, path: {{ .key }} }
{{- end -}}

{{/* The options that open a backup, as JSON: identity or passphrase. Takes (dict "root" $ "identitySecret" …). */}}
{{- define "healthvision.openingArgs" -}}
{{- if .identitySecret -}}
["--identity","/etc/healthvision/backup/identity.txt"]
{{- else if .root.Values.backup.passphraseSecret -}}
["--passphrase-file","/etc/healthvision/backup/passphrase"]
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* "true" while the migration of a first install is no hook but a Job beside the rest: its database or its Secret comes with the release. */}}
{{- define "healthvision.migratesBeside" -}}
{{- if and .Release.IsInstall (or .Values.evaluation.enabled (eq .Values.secrets.from "externalSecrets")) -}}true{{- end -}}
{{- end -}}
