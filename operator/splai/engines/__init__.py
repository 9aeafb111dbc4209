"""The inference servers: one file an engine; each turns a backend's spec into the pieces of a pod that serve it.

Imports api only. `core` builds Deployments (a backend's replicas) and Jobs (Dedicated workers) from the pieces.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.engines import custom, llamacpp, ollama, vllm
from splai.engines.images import EngineImages
from splai.engines.pod import ENGINE_CONTAINER, EnginePod

__all__ = ["ENGINE_CONTAINER", "EngineImages", "EnginePod", "engine_pod"]

_ENGINES = {
    "LlamaCpp": llamacpp.engine_pod,
    "vLLM": vllm.engine_pod,
    "Ollama": ollama.engine_pod,
    "Custom": custom.engine_pod,
}


def engine_pod(spec: ModelBackendSpec, images: EngineImages) -> EnginePod:
    """The container that serves the backend's model under its id, and the volumes it mounts."""
    return _ENGINES[spec.engine.type](spec, images)
