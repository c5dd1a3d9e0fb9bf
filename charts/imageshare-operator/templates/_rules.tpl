{{/*
What the operator does in the namespaces where it works: no more, and no less. A test compares it with what the operator
was seen to do.
*/}}
{{- define "imageshare-operator.rules" -}}
- apiGroups: [imageshare.dev]
  resources: [cloudaccounts, cloudimages, imageshares, sharedimageacceptances, imagereplicas, sharedimages]
  verbs: [list, watch]
# Finalizers; of a copy's image also the deletion policy.
- apiGroups: [imageshare.dev]
  resources: [cloudaccounts, cloudimages, imageshares, sharedimageacceptances, imagereplicas]
  verbs: [patch]
- apiGroups: [imageshare.dev]
  resources:
    - cloudaccounts/status
    - cloudimages/status
    - imageshares/status
    - sharedimageacceptances/status
    - imagereplicas/status
    - sharedimages/status
  verbs: [patch]
# Read afresh before a call to a cloud; made for a copy, and deleted with it where its policy says so.
- apiGroups: [imageshare.dev]
  resources: [cloudimages]
  verbs: [get, create, delete]
# The inventory.
- apiGroups: [imageshare.dev]
  resources: [sharedimages]
  verbs: [create, delete]
# Keys, by the name that a CloudAccount says; patched for one finalizer.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get{{ if ne .Values.secrets.finalizer "off" }}, patch{{ end }}]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
