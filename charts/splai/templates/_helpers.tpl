{{/* Pieces that several templates share. Those of one component take (dict "root" $ "component" "…"). */}}

{{- define "splai.selectorLabels" -}}
app.kubernetes.io/name: splai
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "splai.labels" -}}
{{ include "splai.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end }}

{{- define "splai.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "splai.artifactsURL" -}}
http://splai-artifacts.{{ .Release.Namespace }}.svc:8080
{{- end }}

{{/* What all three containers have in common. */}}
{{- define "splai.container" -}}
image: {{ include "splai.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
{{- end }}

{{/* What all three pods have in common. */}}
{{- define "splai.pod" -}}
serviceAccountName: splai-{{ .component }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Proves to the artifact server who the pod is; worthless anywhere else. */}}
{{- define "splai.tokenVolume" -}}
{name: artifacts-token, projected: {sources: [{serviceAccountToken: {audience: splai-artifacts, path: token}}]}}
{{- end }}

{{- define "splai.tokenMount" -}}
{name: artifacts-token, mountPath: /var/run/secrets/splai, readOnly: true}
{{- end }}

{{/* Everything the operator may do with the namespaces it watches. It asks for each rule at start: splai/controller/permissions.py. */}}
{{- define "splai.operatorRules" -}}
- apiGroups: [splai.dev]
  resources: [inferencejobs, modelbackends]
  verbs: [list, watch]
- apiGroups: [splai.dev]
  resources: [inferencejobs]
  verbs: [delete]
- apiGroups: [splai.dev]
  resources: [inferencejobs/status, modelbackends/status]
  verbs: [patch]
- apiGroups: [splai.dev]
  resources: [inferencejobs/finalizers, modelbackends/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets]
  verbs: [get, list, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
{{- end }}

{{/* The gateway finds the ready pods of each model. */}}
{{- define "splai.gatewayRules" -}}
- apiGroups: [splai.dev]
  resources: [modelbackends]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}
