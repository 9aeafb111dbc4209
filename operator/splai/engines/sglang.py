"""SGLang's OpenAI-compatible server, for GPUs: https://docs.sglang.io

What it calls the model and its adapters is in ``served_names``. Its /health answers 503 until the model is loaded, and
then runs one token through it while nothing else does.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.api.pod_contract import POD_USER
from splai.engines.images import EngineImages
from splai.engines.metrics import Metrics
from splai.engines.pod import EnginePod, build_pod
from splai.engines.python_home import LOAD_MINUTES, python_home, tensor_parallel_size
from splai.engines.requests import of_gpu_server
from splai.engines.served_names import served_name
from splai.engines.weights import adapter_weights, model_weights

PORT = 8000

METRICS = Metrics(  # with --enable-metrics: https://docs.sglang.io/references/production_metrics.html
    requests_running="sglang:num_running_reqs",
    requests_waiting="sglang:num_queue_reqs",
    kv_cache_usage_ratio="sglang:token_usage",
    prompt_tokens_total="sglang:prompt_tokens_total",
    generated_tokens_total="sglang:generation_tokens_total",
    time_to_first_token_seconds="sglang:time_to_first_token_seconds",  # noqa: S106 - no password
)


def engine_pod(spec: ModelBackendSpec, images: EngineImages) -> EnginePod:
    """The module as the command, because images differ in their entrypoint."""
    model, adapters = model_weights(spec.model), adapter_weights(spec.model)
    args = ["--model-path", model.location, "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - as for vLLM
    args += ["--served-model-name", served_name("SGLang", spec.model, spec.model.id), "--enable-metrics"]
    if model.revision:
        args += ["--revision", model.revision]
    if tensor_parallel_size(spec) > 1:
        args += ["--tensor-parallel-size", str(tensor_parallel_size(spec))]
    if adapters:
        args += ["--enable-lora", "--lora-paths", *(f"{name}={found.location}" for name, found in adapters.items())]
    home = python_home(spec, "sglang")
    return build_pod(
        spec,
        image=spec.engine.image or images.sglang,
        port=PORT,
        health_path="/health",
        command=["python3", "-m", "sglang.launch_server"],
        args=args,
        env=home.variables,
        user=POD_USER,
        weights=(model, *adapters.values()),
        mounts=home.mounts,
        metrics=METRICS,
        requests=of_gpu_server(spec),
        load_minutes=LOAD_MINUTES,
    )
