"""A provider outside the cluster, behind a small adapter of SPLAI's own image that speaks the OpenAI API to callers.

The kubelet mounts the key's Secret: neither operator nor gateway read it, and a changed key is taken over without a
restart. The Secret is optional to the kubelet, so that a missing one is told by the adapter, which ends with a message,
and not by a pod that waits in silence for its volume.

Everything is an argument, nothing a variable: ``template.env`` overlays variables, and what the operator's
configuration refuses must not be lifted by whoever writes a ModelBackend or a job.
"""

from dataclasses import replace
from typing import Any

from splai.api.backend_remote import Remote, SecretKey
from splai.api.backend_resources import BackendResources
from splai.api.base import Quantity
from splai.api.model_backend import ModelBackendSpec
from splai.api.pod_contract import POD_USER
from splai.engines.images import EngineImages
from splai.engines.metrics import Metrics
from splai.engines.mount import Mount
from splai.engines.pod import EnginePod, build_pod

PORT = 8000
HEALTH_PATH = "/health"
METRICS = Metrics(requests_running="splai_adapter_requests_in_flight")  # splai/adapter/metrics.py
_KEY_PATH = "/var/run/secrets/splai-provider"
_KEY_FILE = "api-key"
_CPU: Quantity = "50m"
_MEMORY: Quantity = "256Mi"


def engine_pod(spec: ModelBackendSpec, remote: Remote, images: EngineImages, *, allow_private_urls: bool) -> EnginePod:
    """The adapter's container; it answers as soon as it runs, without asking the provider."""
    options = {
        "port": str(PORT),
        "provider": remote.provider,
        "base-url": remote.base_url,
        "model": remote.model,
        "deployment": remote.deployment,
        "api-version": remote.api_version,
    }
    args = ["adapter", "serve", *(f"--{name}={value}" for name, value in options.items() if value is not None)]
    args += [f"--served={name}" for name in spec.model.ids]
    mounts: list[Mount] = []
    if remote.api_key_secret_ref is not None:
        args += [f"--api-key-file={_KEY_PATH}/{_KEY_FILE}"]
        mounts += [_key(remote.api_key_secret_ref)]
    if allow_private_urls:
        args += ["--allow-private-urls"]
    pod = build_pod(
        spec.model_copy(update={"resources": _resources(spec.resources)}),
        image=images.splai,
        port=PORT,
        health_path=HEALTH_PATH,
        args=args,
        user=POD_USER,
        weights=(),
        mounts=mounts,
        metrics=METRICS,
    )
    return replace(pod, container={**pod.container, "terminationMessagePolicy": "FallbackToLogsOnError"})


def _resources(asked: BackendResources) -> BackendResources:
    """The adapter moves text: it needs little, unless the backend says otherwise."""
    return BackendResources(cpu=asked.cpu or _CPU, memory=asked.memory or _MEMORY)


def _key(reference: SecretKey) -> Mount:
    volume: dict[str, Any] = {
        "name": "provider-key",
        "secret": {
            "secretName": reference.name,
            "items": [{"key": reference.key, "path": _KEY_FILE}],
            "optional": True,
        },
    }
    return Mount(volume, _KEY_PATH, read_only=True)
