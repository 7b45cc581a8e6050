{{/*
An image by registry, repository, tag and digest. Takes (dict "root" $ "image" (dict "registry" … "repository" … "tag" … "digest" …)).
global.imageRegistry, a mirror, goes before the registry of each.
*/}}
{{- define "healthvision.imageOf" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := .image.repository -}}
{{- if $registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" $registry) .image.repository -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name .image.tag -}}
{{- end -}}
{{- end -}}

{{/* The product's tag of a colour: what is not said is that of the chart. Takes (dict "root" $ "colour" "blue"). */}}
{{- define "healthvision.colourTag" -}}
{{- $values := .root.Values -}}
{{- $own := "" -}}
{{- if eq $values.deployment.strategy "blueGreen" -}}
{{- $own = (index $values.deployment.blueGreen .colour).tag -}}
{{- end -}}
{{- $own | default $values.image.tag | default .root.Chart.AppVersion -}}
{{- end -}}

{{- define "healthvision.activeColour" -}}
{{- ternary .Values.deployment.blueGreen.active "blue" (eq .Values.deployment.strategy "blueGreen") -}}
{{- end -}}

{{- define "healthvision.previewColour" -}}
{{- ternary "green" "blue" (eq (include "healthvision.activeColour" .) "blue") -}}
{{- end -}}

{{/* "true" when a second version runs beside the one that has the traffic. */}}
{{- define "healthvision.hasPreview" -}}
{{- if and (eq .Values.deployment.strategy "blueGreen") (index .Values.deployment.blueGreen (include "healthvision.previewColour" .)).tag -}}true{{- end -}}
{{- end -}}

{{/*
The tag that migrates: the newer of the two colours, because the schema only ever grows. Where a tag is no version number,
that of the preview, which is what an upgrade brings.
*/}}
{{- define "healthvision.newestTag" -}}
{{- $active := include "healthvision.colourTag" (dict "root" . "colour" (include "healthvision.activeColour" .)) -}}
{{- if include "healthvision.hasPreview" . -}}
{{- $preview := include "healthvision.colourTag" (dict "root" . "colour" (include "healthvision.previewColour" .)) -}}
{{- $version := "^v?[0-9]+\\.[0-9]+\\.[0-9]+" -}}
{{- if and (regexMatch $version $active) (regexMatch $version $preview) (semverCompare (printf ">%s" $preview) $active) -}}
{{- $active -}}
{{- else -}}
{{- $preview -}}
{{- end -}}
{{- else -}}
{{- $active -}}
{{- end -}}
{{- end -}}

{{/* The image for the CPU with a tag. Takes (dict "root" $ "tag" …). */}}
{{- define "healthvision.cpuImage" -}}
{{- $image := .root.Values.image -}}
{{- include "healthvision.imageOf" (dict "root" .root "image" (dict "registry" $image.registry "repository" $image.repository "tag" .tag "digest" $image.digest)) -}}
{{- end -}}

{{- define "healthvision.gpuImage" -}}
{{- $image := .Values.image -}}
{{- $tag := printf "%s%s" (include "healthvision.colourTag" (dict "root" . "colour" (include "healthvision.activeColour" .))) $image.gpuSuffix -}}
{{- include "healthvision.imageOf" (dict "root" . "image" (dict "registry" $image.registry "repository" $image.repository "tag" $tag "digest" $image.gpuDigest)) -}}
{{- end -}}

{{- define "healthvision.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}
