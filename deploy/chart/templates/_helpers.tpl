{{/* The start of all names: at most 52 characters, so that those with a suffix have at most 63.
The name of a Service begins with a letter and has no dot, other than that of a release. */}}
{{- define "presence-gateway.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $release -}}
{{- $name = printf "presence-gateway-%s" $release -}}
{{- else -}}
{{- $name = contains "presence-gateway" $release | ternary $release (printf "%s-presence-gateway" $release) -}}
{{- end -}}
{{- end -}}
{{- $name | trunc 52 | regexFind "^.*[a-z0-9]" -}}
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
{{- if regexMatch "(@|:[^/]*$)" $repository -}}
{{- fail (printf "image.repository is %q: give the tag as image.tag, or the digest as image.digest" $repository) -}}
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

{{/* "true" if the port of callers has TLS, by `mtls` or by settings. */}}
{{- define "presence-gateway.tls" -}}
{{- if get (include "presence-gateway.settings" . | fromYaml) "PRESENCE_GATEWAY_TLS_CERT" -}}true{{- end -}}
{{- end -}}

{{/* A duration of the settings in milliseconds; values.schema.json has its units. */}}
{{- define "presence-gateway.milliseconds" -}}
{{- $units := dict "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+ *[a-z]+" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | atoi) (regexMatch "^(ms|mil|msec)" $unit | ternary 1 (get $units (trunc 1 $unit)))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* Fails if values contradict each other. */}}
{{- define "presence-gateway.check" -}}
{{- $settings := include "presence-gateway.settings" . | fromYaml -}}
{{- $lameDuck := get $settings "PRESENCE_GATEWAY_LAME_DUCK" | default "5s" -}}
{{- $drain := get $settings "PRESENCE_GATEWAY_DRAIN_TIMEOUT" | default "30s" -}}
{{- $milliseconds := add (include "presence-gateway.milliseconds" $lameDuck) (include "presence-gateway.milliseconds" $drain) 6000 -}}
{{- if gt (int $milliseconds) (mul 1000 .Values.terminationGracePeriodSeconds | int) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, less than PRESENCE_GATEWAY_LAME_DUCK (%s), PRESENCE_GATEWAY_DRAIN_TIMEOUT (%s) and 6 s together, so pods would be killed before calls have ended: set at least %d" (int .Values.terminationGracePeriodSeconds) $lameDuck $drain (div (add $milliseconds 999) 1000)) -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if and .enabled (not $.Values.sandbox) -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas (%d) is more than autoscaling.maxReplicas (%d)" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- $cpu := or (dig "requests" "cpu" "" $.Values.resources) (dig "limits" "cpu" "" $.Values.resources) -}}
{{- if not $cpu -}}
{{- fail "autoscaling.cpuUtilization is a percentage of resources.requests.cpu, which is not set: set it, or autoscaling.enabled=false" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.resourceAttributes -}}
{{- if not (regexMatch "^[A-Za-z0-9._-]+$" $name) -}}
{{- fail (printf "resourceAttributes: the name %q has characters other than letters, digits, dots, dashes and underscores" $name) -}}
{{- end -}}
{{- if not (regexMatch "^[!#-+./0-9:<-\\[\\]-~-]*$" $value) -}}
{{- fail (printf "resourceAttributes: write the value of %s, %q, with percent-encoding: %%20 for a space, %%2C for a comma" $name $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "presence-gateway.budgetSecret" -}}
{{- .Values.sharedBudget.secretName | default (printf "%s-budget" (include "presence-gateway.fullname" .)) -}}
{{- end -}}

{{/* The settings, as YAML: those of the files, of other values, and of `settings`, each over those before. */}}
{{- define "presence-gateway.settings" -}}
{{- $upstreams := list .Values.region .Values.sandbox (get .Values.settings "PRESENCE_GATEWAY_UPSTREAM_URL") | compact -}}
{{- if ne 1 (len $upstreams) -}}
{{- fail (printf "exactly one upstream is required, and there are %d: set region (for example eu-central-1), sandbox=true or settings.PRESENCE_GATEWAY_UPSTREAM_URL" (len $upstreams)) -}}
{{- end -}}
{{- $settings := dict -}}
{{- $files := .Values.sandbox | ternary (list "component-settings.env" "settings.env") (list "component-settings.env" "settings.env" "production.env") -}}
{{- range $file := $files -}}
{{- range regexFindAll "(?m)^[A-Z0-9_]+=.*$" (include "presence-gateway.file" (list $ $file)) -1 -}}
{{- $pair := splitn "=" 2 . -}}
{{- $_ := set $settings $pair._0 $pair._1 -}}
{{- end -}}
{{- end -}}
{{- $_ := unset $settings "PRESENCE_GATEWAY_REGION" -}}
{{- if .Values.region -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_REGION" (kindIs "slice" .Values.region | ternary (join "," .Values.region) .Values.region) -}}
{{- else if .Values.sandbox -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_SANDBOX" "true" -}}
{{- end -}}
{{- /* The vendor's whole limit, for the only replica or for all that share it. */}}
{{- if or .Values.sandbox .Values.sharedBudget.enabled -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_TOKEN_REQUESTS_PER_MINUTE" "300" -}}
{{- end -}}
{{- if .Values.sharedBudget.enabled -}}
{{- if regexMatch "^[^:]*://[^/@]*:[^/@]*@" .Values.sharedBudget.url -}}
{{- fail "sharedBudget.url: leave the password out, which would be in a ConfigMap; it is in the Secret, under `password`" -}}
{{- end -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_BUDGET_STORE" .Values.sharedBudget.url -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_BUDGET_STORE_PASSWORD_FILE" "/etc/presence-gateway/budget/password" -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_BUDGET_SECRET" "/etc/presence-gateway/budget/secret" -}}
{{- end -}}
{{- if .Values.mtls.enabled -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_TLS_CERT" "/etc/presence-gateway/tls/tls.crt" -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_TLS_KEY" "/etc/presence-gateway/tls/tls.key" -}}
{{- $_ := set $settings "PRESENCE_GATEWAY_TLS_CLIENT_CA" "/etc/presence-gateway/tls/ca.crt" -}}
{{- end -}}
{{- if and (not .Values.sharedBudget.enabled) (get .Values.settings "PRESENCE_GATEWAY_BUDGET_STORE") -}}
{{- fail "settings.PRESENCE_GATEWAY_BUDGET_STORE: set sharedBudget.enabled and sharedBudget.url, which also set the limit, the Secret and the NetworkPolicy" -}}
{{- end -}}
{{- range $name, $value := .Values.settings -}}
{{- /* Numbers by toJson: as text, Helm's 1000000 is 1e+06. */ -}}
{{- $_ := set $settings $name (kindIs "string" $value | ternary $value (toJson $value)) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}
