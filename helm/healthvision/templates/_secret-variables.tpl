{{/* The variables whose values are secret, as these values need them; with commas. The keys of the Secret are named alike. */}}
{{- define "healthvision.secretVariables" -}}
{{- $values := .Values -}}
{{- $names := list "MASTER_KEY" "DATABASE_URL" -}}
{{- if $values.secrets.masterKeyPrevious -}}{{- $names = append $names "MASTER_KEY_PREVIOUS" -}}{{- end -}}
{{- if $values.database.migrationUrl -}}{{- $names = append $names "DATABASE_MIGRATION_URL" -}}{{- end -}}
{{- if eq $values.queue.backend "redis" -}}
{{- $names = append $names "REDIS_URL" -}}
{{- if $values.queue.redis.sentinelPassword -}}{{- $names = append $names "REDIS_SENTINEL_PASSWORD" -}}{{- end -}}
{{- end -}}
{{- if and (eq $values.blobs.store "s3") (eq $values.blobs.s3.credentials "secret") -}}
{{- $names = concat $names (list "S3_ACCESS_KEY_ID" "S3_SECRET_ACCESS_KEY") -}}
{{- end -}}
{{- if $values.smtp.enabled -}}{{- $names = append $names "SMTP_URL" -}}{{- end -}}
{{- if or $values.secrets.bootstrapPassword (include "healthvision.makesSecret" .) -}}{{- $names = append $names "BOOTSTRAP_ADMIN_PASSWORD" -}}{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/* "true" when the chart makes up the secrets itself: for evaluation only. */}}
{{- define "healthvision.makesSecret" -}}
{{- if and .Values.evaluation.enabled (eq .Values.secrets.from "existingSecret") (not .Values.secrets.name) -}}true{{- end -}}
{{- end -}}

{{/*
Of those the ones that a component is given, with commas: nobody gets a secret that it has no use for.
Takes (dict "root" $ "component" "api").
*/}}
{{- define "healthvision.secretVariablesOf" -}}
{{- $names := splitList "," (include "healthvision.secretVariables" .root) -}}
{{- if not (has .component (list "migrate" "backup" "restore")) -}}{{- $names = without $names "DATABASE_MIGRATION_URL" -}}{{- end -}}
{{- if ne .component "api" -}}{{- $names = without $names "BOOTSTRAP_ADMIN_PASSWORD" -}}{{- end -}}
{{- if ne .component "cpu-worker" -}}{{- $names = without $names "SMTP_URL" -}}{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/* The name of the file that Vault's agent writes a variable into. */}}
{{- define "healthvision.vaultFile" -}}
{{- . | lower | replace "_" "-" -}}
{{- end -}}

{{/* References to the Secrets; with Vault to the files that its agent writes, but for those of secrets.refs. Takes (dict "root" $ "component" "api"). */}}
{{- define "healthvision.secretEnv" -}}
{{- $root := .root -}}
{{- range splitList "," (include "healthvision.secretVariablesOf" .) }}
{{- $ref := index $root.Values.secrets.refs . }}
{{- if or $ref (ne $root.Values.secrets.from "vault") }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ ($ref | default dict).name | default (include "healthvision.secretName" $root) }}
      key: {{ ($ref | default dict).key | default . }}
{{- else }}
- name: {{ . }}_FILE
  value: /vault/secrets/{{ include "healthvision.vaultFile" . }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
Annotations that make Vault's agent write the variables of a component into files, and stop before the container starts.
Takes (dict "root" $ "component" "api").
*/}}
{{- define "healthvision.vaultAnnotations" -}}
{{- if eq .root.Values.secrets.from "vault" -}}
{{- $vault := .root.Values.secrets.vault -}}
{{- $refs := .root.Values.secrets.refs -}}
{{- $data := ternary ".Data.data" ".Data" (eq (int $vault.kvVersion) 2) -}}
vault.hashicorp.com/agent-inject: "true"
vault.hashicorp.com/agent-pre-populate-only: "true"
vault.hashicorp.com/agent-run-as-user: "10001"
vault.hashicorp.com/agent-run-as-group: "10001"
vault.hashicorp.com/agent-service-account-token-volume-name: vault-token
vault.hashicorp.com/auth-path: {{ $vault.authPath | quote }}
vault.hashicorp.com/role: {{ $vault.role | quote }}
{{- range splitList "," (include "healthvision.secretVariablesOf" .) }}
{{- if not (index $refs .) }}
vault.hashicorp.com/agent-inject-secret-{{ include "healthvision.vaultFile" . }}: {{ $vault.path | quote }}
vault.hashicorp.com/agent-inject-template-{{ include "healthvision.vaultFile" . }}: {{ printf "{{- with secret %q -}}{{ %s.%s }}{{- end -}}" $vault.path $data . | squote }}
{{- end }}
{{- end }}
{{- with $vault.annotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}
{{- end -}}
