{{/*
The operator's rights in the namespaces where it works: no more and no less than it uses. A test compares them with the
requests that the operator makes.
*/}}
{{- define "imageshare-operator.rules" -}}
- apiGroups: [imageshare.dev]
  resources:
    - cloudaccounts
    - cloudimages
    - imageshares
    - imagechannels
    - channelshares
    - sharedimageacceptances
    - imagereplicas
    - sharedimages
  verbs: [list, watch]
# Finalizers; the deletion policy of a CloudImage created for a copy; what was made for an ImageChannel or a ChannelShare.
- apiGroups: [imageshare.dev]
  resources:
    - cloudaccounts
    - cloudimages
    - imageshares
    - imagechannels
    - channelshares
    - sharedimageacceptances
    - imagereplicas
  verbs: [patch]
- apiGroups: [imageshare.dev]
  resources:
    - cloudaccounts/status
    - cloudimages/status
    - imageshares/status
    - imagechannels/status
    - channelshares/status
    - sharedimageacceptances/status
    - imagereplicas/status
    - sharedimages/status
  verbs: [patch]
# get: a fresh read before a cloud call. create: the CloudImage of a copy, or of a version of an ImageChannel. delete: that of
# a copy, if its policy says so.
- apiGroups: [imageshare.dev]
  resources: [cloudimages]
  verbs: [get, create, delete]
# The ImageShares of a ChannelShare.
- apiGroups: [imageshare.dev]
  resources: [imageshares]
  verbs: [create, delete]
# The inventory of images that others share.
- apiGroups: [imageshare.dev]
  resources: [sharedimages]
  verbs: [create, delete]
# Secrets that CloudAccounts name; patch: for one finalizer.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get{{ if ne .Values.secrets.finalizer "off" }}, patch{{ end }}]
{{- if .Values.workloadIdentity.enabled }}
# Tokens of the ServiceAccounts that CloudAccounts name.
- apiGroups: [""]
  resources: [serviceaccounts/token]
  {{- with .Values.workloadIdentity.serviceAccounts }}
  resourceNames: {{- toYaml . | nindent 4 }}
  {{- end }}
  verbs: [create]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
