"""vLLM's OpenAI-compatible server, for GPUs: https://docs.vllm.ai

Answers to the model's id and to every alias. Weights from Hugging Face are downloaded into the pod's own cache; a gated
model's token comes from ``template.env`` as HF_TOKEN.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.engines.images import EngineImages
from splai.engines.pod import SCRATCH, EnginePod, Mount, build_pod, weights

PORT = 8000

_CACHE = Mount({"name": "cache", "emptyDir": {}}, "/cache")
# Processes of one engine talk through shared memory; a container's own /dev/shm has 64 MiB.
_SHARED_MEMORY = Mount({"name": "shm", "emptyDir": {"medium": "Memory"}}, "/dev/shm")  # noqa: S108 - the pod's own

_IMAGE_USER = 2000  # `vllm` in its image, which runs as root unless told otherwise
_ENVIRONMENT = {
    "HOME": _CACHE.path,
    "HF_HOME": f"{_CACHE.path}/huggingface",
    "USER": "vllm",  # PyTorch asks for the user's name, and fails where an image doesn't know the user
    "VLLM_NO_USAGE_STATS": "1",
}


def engine_pod(spec: ModelBackendSpec, images: EngineImages) -> EnginePod:
    """``vllm serve`` as the command, because images differ in their entrypoint."""
    source = weights(spec.model.source)
    args = [source.location] if source.location else []
    args += ["--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - probes and the Service come from outside
    args += ["--served-model-name", *spec.model.ids]
    gpu = spec.resources.gpu
    if gpu is not None and gpu.profile is None and gpu.count > 1:
        args += ["--tensor-parallel-size", str(gpu.count)]
    return build_pod(
        spec,
        image=spec.engine.image or images.vllm,
        port=PORT,
        health_path="/health",
        command=["vllm", "serve"],
        args=args,
        env=_ENVIRONMENT,
        user=_IMAGE_USER,
        mounts=(SCRATCH, _CACHE, _SHARED_MEMORY, *source.mounts),
    )
