#!/usr/bin/env bash
# Installs or upgrades SPLAI in the cluster of $KUBECONFIG and waits until it serves.
set -euo pipefail
cd "$(dirname "$0")/.."

helm upgrade --install splai ./charts/splai -n splai-system --create-namespace "$@"
kubectl label namespace splai-system --overwrite pod-security.kubernetes.io/enforce=restricted >/dev/null

for deployment in splai-operator splai-artifacts splai-gateway; do
  kubectl -n splai-system rollout status "deployment/$deployment" --timeout=300s
done
