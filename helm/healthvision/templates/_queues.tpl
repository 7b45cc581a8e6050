{{/* Every queue of the product, as src/roles/queues.ts lists them. */}}
{{- define "healthvision.allQueues" -}}
send-mail,settle,sweep,retention,store-uploads,expire-uploads,forget-uploads,purge-results,deliver-results,signed-objects,compare-results,overdue-deliveries,result-retention,plan,run,check-model,recover,forget-study,forget-result,fan-out,notification-mails,climb-escalations,forget-notifications,plan-webhooks,deliver-webhooks,wake-webhooks,webhook-upkeep,forget-webhook-deliveries,mail-webhook-disabled,reconcile,orphan-blobs
{{- end -}}

{{/* What GPU workers consume, with commas; nothing when there are none. */}}
{{- define "healthvision.gpuQueues" -}}
{{- if .Values.gpuWorker.enabled -}}{{- join "," .Values.gpuWorker.queues -}}{{- end -}}
{{- end -}}

{{/* What CPU workers consume, with commas: what values say, else everything that GPU workers leave. */}}
{{- define "healthvision.cpuQueues" -}}
{{- if .Values.cpuWorker.queues -}}
{{- join "," .Values.cpuWorker.queues -}}
{{- else -}}
{{- $left := splitList "," (include "healthvision.allQueues" .) -}}
{{- if and .Values.gpuWorker.enabled (not .Values.cpuWorker.analyses) -}}
{{- range .Values.gpuWorker.queues -}}{{- $left = without $left . -}}{{- end -}}
{{- end -}}
{{- join "," $left -}}
{{- end -}}
{{- end -}}

{{/* The queues whose length decides how many of a kind of workers there are. Takes (dict "root" $ "queues" "a,b"). */}}
{{- define "healthvision.scalingQueues" -}}
{{- $queues := splitList "," .queues -}}
{{- if has "run" $queues -}}run{{- else -}}{{- join "|" $queues -}}{{- end -}}
{{- end -}}
