"""llama.cpp's server, for GGUF models on CPUs and GPUs: https://github.com/ggml-org/llama.cpp/tree/master/tools/server

It serves one model and answers whatever id a request names. Without a source the image's own model is served.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.engines.pod import SCRATCH, EngineImages, EnginePod, Weights, build_pod, weights

PORT = 8080
_ALL_LAYERS = "999"


def engine_pod(spec: ModelBackendSpec, images: EngineImages) -> EnginePod:
    """Arguments are those of llama-server; chat templates by Jinja, so that tool calls work."""
    source = weights(spec.model.source) if spec.model.source else Weights("")
    args = ["--host", "0.0.0.0", "--port", str(PORT), "--alias", spec.model.id, "--jinja", "--metrics"]  # noqa: S104
    if source.location:
        args += ["--model", source.location]
    if spec.resources.gpu is not None:
        args += ["--n-gpu-layers", _ALL_LAYERS]
    return build_pod(
        spec,
        image=spec.engine.image or images.llamacpp,
        pull_policy=images.pull_policy,
        port=PORT,
        health_path="/health",
        args=args,
        mounts=(SCRATCH, *source.mounts),
    )
