{{/*
Values whose form the schema cannot explain: helm prints a schema's regular expression as it is. These checks say in words
what is wrong and what is right.
*/}}

{{- define "imageshare-operator.check" -}}
{{- $duration := "^([0-9]+(ms|s|m|h))+$" }}
{{- $host := `([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])` }}
{{- range $name, $value := dict
      "driftInterval" .Values.driftInterval
      "blockedInterval" .Values.blockedInterval
      "inventoryInterval" .Values.inventoryInterval
      "discoveryInterval" .Values.discoveryInterval
      "lease.duration" .Values.lease.duration
      "serviceMonitor.interval" .Values.serviceMonitor.interval }}
{{- if not (regexMatch $duration $value) }}
{{- fail (printf "%s: %q is not a duration: write it as 10m, 5s or 1h30m" $name $value) }}
{{- end }}
{{- end }}
{{- range $index, $endpoint := .Values.allowedEndpoints }}
{{- if not (regexMatch (printf `^((https://)?%s(:[1-9][0-9]{0,4})?|http://%s:[1-9][0-9]{0,4})$` $host $host) $endpoint) }}
{{- fail (printf "allowedEndpoints[%d]: %q is not an endpoint: write https://host or https://host:port, without a path; plain http, for a simulator, needs its port" $index $endpoint) }}
{{- end }}
{{- end }}
{{- range $index, $namespace := .Values.watchNamespaces }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $namespace) }}
{{- fail (printf "watchNamespaces[%d]: %q is not the name of a namespace: small letters, digits and -" $index $namespace) }}
{{- end }}
{{- end }}
{{- range $index, $name := .Values.workloadIdentity.serviceAccounts }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" $name) }}
{{- fail (printf "workloadIdentity.serviceAccounts[%d]: %q is not the name of a ServiceAccount: small letters, digits, - and ." $index $name) }}
{{- end }}
{{- end }}
{{- $octet := `(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])` }}
{{- if not (regexMatch (printf `^(%s(\.%s){3}|\[[0-9a-fA-F:.]+\])$` $octet $octet) .Values.listenAddress) }}
{{- $remedy := ternary "write an IPv6 address in brackets, as [::]" "write it as 0.0.0.0 or [::]" (regexMatch "^[0-9a-fA-F.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$" .Values.listenAddress) }}
{{- fail (printf "listenAddress: %q is not an address: %s" .Values.listenAddress $remedy) }}
{{- end }}
{{- range $name, $value := dict "nameOverride" .Values.nameOverride "fullnameOverride" .Values.fullnameOverride }}
{{- if not (regexMatch "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$" $value) }}
{{- fail (printf "%s: %q is not a name: small letters, digits and -" $name $value) }}
{{- end }}
{{- end }}
{{- if not (regexMatch "^(sha256:[0-9a-f]{64})?$" .Values.image.digest) }}
{{- fail (printf "image.digest: %q is not a digest: sha256: and 64 hexadecimal digits" .Values.image.digest) }}
{{- end }}
{{- if not (regexMatch "^[A-Za-z0-9_:]+(=[A-Za-z0-9]+)?(,[A-Za-z0-9_:]+(=[A-Za-z0-9]+)?)*$" .Values.log) }}
{{- fail (printf "log: %q is not a log level: write it as info, or as info,imageshare_operator=debug" .Values.log) }}
{{- end }}
{{- $flags := splitList "\n" (trim (.Files.Get "files/flags.txt")) }}
{{- range $index, $flag := .Values.extraArgs }}
{{- if not (has (regexReplaceAll "=(?s:.*)$" $flag "") $flags) }}
{{- fail (printf "extraArgs[%d]: %q is not a flag of this operator: write it as --absence-window=10s; docs/flags.md lists them" $index $flag) }}
{{- end }}
{{- end }}
{{- $unavailable := toString .Values.podDisruptionBudget.maxUnavailable }}
{{- if not (regexMatch "^([1-9][0-9]*|[1-9][0-9]?%|100%)$" $unavailable) }}
{{- fail (printf "podDisruptionBudget.maxUnavailable: %q is neither a number from 1 on nor a percentage such as 50%%" $unavailable) }}
{{- end }}
{{- if and .Values.simulator.enabled .Values.simulator.world (hasKey (fromYaml .Values.simulator.world) "Error") }}
{{- fail "simulator.world: this is not YAML: write it as files/world.yaml of the chart" }}
{{- end }}
{{- end }}
