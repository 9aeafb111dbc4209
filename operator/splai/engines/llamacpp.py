"""llama.cpp's server, for GGUF models on CPUs and GPUs: https://github.com/ggml-org/llama.cpp/tree/master/tools/server

It serves one model and answers whatever id a request names. Without a source the image's own model is served. A file
of the Hub is fetched for it: its own ``--hf-repo`` knows no revision, and is built into few of its images.

``--embeddings`` costs nothing: the server then answers embedding requests beside chat and completion ones. How tokens
are pooled into one vector is for the model to say. Chat models don't, so only for the one of our own image we do; for
any other, /v1/embeddings is refused until ``--pooling`` stands in ``engine.args``, which beats vectors that are wrong.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.engines.images import EngineImages
from splai.engines.metrics import Metrics
from splai.engines.pod import EnginePod, build_pod
from splai.engines.requests import of_ggml
from splai.engines.weights import model_weights, on_own_disk

PORT = 8080
_USER = 65532  # llama.cpp's own images run as root unless told otherwise
_PROMPT_CACHE_MIB = "128"  # llama.cpp's own default of 8 GiB fills any pod to its limit, and then it crawls
_ALL_LAYERS = "999"
_LOAD_MINUTES = 20  # the file is there already: 90 GB of it at 75 MB/s. Until then /health answers 503

# With --metrics: tools/server/README.md, "GET /metrics". How full its KV cache is it no longer tells.
METRICS = Metrics(
    requests_running="llamacpp:requests_processing",
    requests_waiting="llamacpp:requests_deferred",
    prompt_tokens_total="llamacpp:prompt_tokens_total",
    generated_tokens_total="llamacpp:tokens_predicted_total",
)


def engine_pod(spec: ModelBackendSpec, images: EngineImages) -> EnginePod:
    """Arguments are those of llama-server; chat templates by Jinja, so that tool calls work."""
    model = model_weights(spec.model, one_file=True)
    args = ["--host", "0.0.0.0", "--port", str(PORT), "--alias", spec.model.id]  # noqa: S104 - probes and the Service
    args += ["--jinja", "--metrics", "--embeddings", "--cache-ram", _PROMPT_CACHE_MIB]
    if model.location:
        args += ["--model", model.location]
    elif spec.engine.image is None:
        args += ["--pooling", "mean"]
    if spec.resources.gpu is not None:
        args += ["--n-gpu-layers", _ALL_LAYERS]
    return build_pod(
        spec,
        image=spec.engine.image or images.llamacpp,
        port=PORT,
        health_path="/health",
        args=args,
        user=_USER,
        weights=(model,),
        metrics=METRICS,
        requests=of_ggml(disk=on_own_disk(spec.model)),
        load_minutes=_LOAD_MINUTES,
    )
