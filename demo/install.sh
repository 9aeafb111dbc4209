#!/usr/bin/env bash
# Installs or upgrades SPLAI in the cluster of $KUBECONFIG and waits until it serves.
# With REGISTRY the cluster pulls SPLAI's images from there, else they were loaded into it.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(awk '$1 == "appVersion:" {print $2}' charts/splai/Chart.yaml)
images=()
if [[ -n "${REGISTRY:-}" ]]; then
  images=(--set "image.repository=$REGISTRY/splai" --set "engines.llamaCppImage=$REGISTRY/llamacpp:$version")
fi

helm upgrade --install splai ./charts/splai -n splai-system --create-namespace "${images[@]}"
kubectl label namespace splai-system --overwrite pod-security.kubernetes.io/enforce=restricted >/dev/null

for deployment in splai-operator splai-artifacts splai-gateway; do
  kubectl -n splai-system rollout status "deployment/$deployment" --timeout=300s
done
