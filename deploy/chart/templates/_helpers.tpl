{{/* The start of all names: at most 52 characters, so that those with a suffix have at most 63. */}}
{{- define "presence-gateway.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = contains "presence-gateway" .Release.Name | ternary .Release.Name (printf "%s-presence-gateway" .Release.Name) -}}
{{- end -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* The labels by which pods are selected. A Deployment's selector can never change: no value may reach it. */}}
{{- define "presence-gateway.selectorLabels" -}}
app.kubernetes.io/name: presence-gateway
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "presence-gateway.labels" -}}
{{- $own := include "presence-gateway.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- merge $own .Values.labels | toYaml -}}
{{- end -}}

{{/* The metadata of a resource, of $, the suffix of its name and labels of its own. */}}
{{- define "presence-gateway.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "presence-gateway.fullname" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- merge (include "presence-gateway.labels" $root | fromYaml) (index . 2) | toYaml | nindent 2 }}
{{- end -}}

{{/* A file that the chart shares with the Kustomize bases by a symbolic link. */}}
{{- define "presence-gateway.file" -}}
{{- $content := (first .).Files.Get (printf "files/%s" (last .)) -}}
{{- if or (not $content) (hasPrefix "../" $content) -}}
{{- fail (printf "deploy/chart/files/%s must be a symbolic link: check out the repository on a file system that has them" (last .)) -}}
{{- end -}}
{{- $content -}}
{{- end -}}

{{- define "presence-gateway.image" -}}
{{- $repository := .Values.image.repository | default (ternary "presence-gateway" "" .Values.sandbox) -}}
{{- if not $repository -}}
{{- fail "image.repository is required: no image is published; build one (deploy/README.md, \"Install\"), push it to your registry and name it there" -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "presence-gateway.tlsSecret" -}}
{{- .Values.mtls.secretName | default (printf "%s-tls" (include "presence-gateway.fullname" .)) -}}
{{- end -}}

{{/* The settings, as YAML: those of the files, of other values, and of `settings`, each over those before. */}}
{{- define "presence-gateway.settings" -}}
{{- $upstreams := list .Values.region .Values.sandbox (get .Values.settings "PRESENCE_GATEWAY_UPSTREAM_URL") | compact -}}
{{- if ne 1 (len $upstreams) -}}
{{- fail (printf "exactly one upstream is required, and there are %d: set region (for example eu-central-1), sandbox=true or settings.PRESENCE_GATEWAY_UPSTREAM_URL" (len $upstreams)) -}}
{{- end -}}
{{- $settings := dict -}}
{{- $files := .Values.sandbox | ternary (list "settings.env") (list "settings.env" "production.env") -}}
{{- range $file := $files -}}
{{- range regexFindAll "(?m)^[A-Z0-9_]+=.*$" (include "presence-gateway.file" (list $ $file)) -1 -}}
{{- $pair := splitn "=" 2 . -}}
{{- $_ := set $settings $pair._0 $pair._1 -}}
{{- end -}}
{{- end -}}
{{- $_ := unset $settings "PRESENCE_GATEWAY_REGION" -}}
{{- if .Values.region -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_REGION" .Values.region -}}
{{- else if .Values.sandbox -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_SANDBOX" "true" -}}
{{- end -}}
{{- if .Values.mtls.enabled -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_TLS_CERT" "/etc/presence-gateway/tls/tls.crt" -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_TLS_KEY" "/etc/presence-gateway/tls/tls.key" -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_TLS_CLIENT_CA" "/etc/presence-gateway/tls/ca.crt" -}}
{{- end -}}
{{- range $name, $value := .Values.settings -}}
{{- /* Numbers by toJson: as text, Helm's 1000000 is 1e+06. */ -}}
{{- $_ := set $settings $name (kindIs "string" $value | ternary $value (toJson $value)) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}
