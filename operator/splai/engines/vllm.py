"""vLLM's OpenAI-compatible server, for GPUs: https://docs.vllm.ai

Answers to the model's id, to every alias and to every adapter. Adapters of a rank above 16 need ``--max-lora-rank`` in
``engine.args``.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.engines.images import EngineImages
from splai.engines.pod import EnginePod, build_pod
from splai.engines.python_home import python_home, tensor_parallel_size
from splai.engines.weights import adapter_weights, model_weights

PORT = 8000

_IMAGE_USER = 2000  # `vllm` in its image, which runs as root unless told otherwise


def engine_pod(spec: ModelBackendSpec, images: EngineImages) -> EnginePod:
    """``vllm serve`` as the command, because images differ in their entrypoint."""
    model, adapters = model_weights(spec.model), adapter_weights(spec.model)
    args = [model.location] if model.location else []
    args += ["--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - probes and the Service come from outside
    args += ["--served-model-name", spec.model.id, *spec.model.aliases]
    if model.revision:
        args += ["--revision", model.revision]
    if tensor_parallel_size(spec) > 1:
        args += ["--tensor-parallel-size", str(tensor_parallel_size(spec))]
    if adapters:
        args += ["--enable-lora", "--lora-modules", *(f"{name}={found.location}" for name, found in adapters.items())]
    home = python_home(spec, "vllm")
    return build_pod(
        spec,
        image=spec.engine.image or images.vllm,
        port=PORT,
        health_path="/health",
        command=["vllm", "serve"],
        args=args,
        env={**home.variables, "VLLM_NO_USAGE_STATS": "1"},
        user=_IMAGE_USER,
        weights=(model, *adapters.values()),
        mounts=home.mounts,
    )
