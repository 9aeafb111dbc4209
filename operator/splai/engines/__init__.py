"""The inference servers: one file an engine; each turns a backend's spec into the pieces of a pod that serve it.

Imports api only. `core` builds Deployments (a backend's replicas) and Jobs (Dedicated workers) from the pieces.
"""

from collections.abc import Mapping

from splai.api.model_backend import ModelBackendSpec
from splai.engines import custom, llamacpp, ollama, remote, sglang, tgi, transformers, vllm, workflow
from splai.engines.images import EngineImages
from splai.engines.metrics import Metrics
from splai.engines.pod import ENGINE_CONTAINER, EnginePod
from splai.engines.requests import DISK
from splai.engines.weights import FETCH_CONTAINER, engine_downloads

__all__ = [
    "DISK",
    "ENGINE_CONTAINER",
    "FETCH_CONTAINER",
    "METRICS",
    "EngineImages",
    "EnginePod",
    "engine_downloads",
    "engine_pod",
]

_ENGINES = {
    "LlamaCpp": llamacpp.engine_pod,
    "vLLM": vllm.engine_pod,
    "Ollama": ollama.engine_pod,
    "SGLang": sglang.engine_pod,
    "TGI": tgi.engine_pod,
    "Transformers": transformers.engine_pod,
    "Custom": custom.engine_pod,
}

METRICS: Mapping[str, Metrics] = {
    "LlamaCpp": llamacpp.METRICS,
    "vLLM": vllm.METRICS,
    "SGLang": sglang.METRICS,
    "TGI": tgi.METRICS,
    "Remote": remote.METRICS,
}
"""Of the engines that have any."""


def engine_pod(spec: ModelBackendSpec, images: EngineImages, *, allow_private_urls: bool = False) -> EnginePod:
    """The container that serves the backend's model under its id, and the volumes it mounts.

    ``allow_private_urls``: whether a provider's URL may lead to the node itself, or to its cloud's metadata service.
    """
    if spec.remote is not None:
        return remote.engine_pod(spec, spec.remote, images, allow_private_urls=allow_private_urls)
    if spec.workflow is not None:
        return workflow.engine_pod(spec, spec.workflow, images)
    return _ENGINES[spec.engine.type](spec, images)
