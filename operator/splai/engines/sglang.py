"""SGLang's OpenAI-compatible server, for GPUs: https://docs.sglang.io

What it calls the model and its adapters is in ``served_names``. Its /health answers 503 until the model is loaded, and
then runs one token through it while nothing else does.

A replica of several nodes is tensor parallel over all of their GPUs, and only the first node serves
(https://docs.sglang.io/references/multi_node_deployment/multi_node.html, and for LeaderWorkerSet
https://github.com/kubernetes-sigs/lws/tree/main/docs/examples/sglang).
"""

from dataclasses import replace

from splai.api.model_backend import ModelBackendSpec
from splai.api.pod_contract import POD_USER
from splai.engines.images import EngineImages
from splai.engines.metrics import Metrics
from splai.engines.nodes import FIRST, RANK, on_other_nodes
from splai.engines.pod import EnginePod, build_pod
from splai.engines.python_home import LOAD_MINUTES, python_home, tensor_parallel_size
from splai.engines.requests import of_gpu_server
from splai.engines.served_names import served_name
from splai.engines.weights import adapter_weights, model_weights

PORT = 8000
_MEETING_PORT = 20000  # where the nodes find one another; some ports above it are used too

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
    nodes = spec.resources.nodes
    gpus = tensor_parallel_size(spec) * nodes
    if gpus > 1:
        args += ["--tensor-parallel-size", str(gpus)]
    if nodes > 1:
        args += ["--nnodes", str(nodes), "--node-rank", RANK, "--dist-init-addr", f"{FIRST}:{_MEETING_PORT}"]
    if adapters:
        args += ["--enable-lora", "--lora-paths", *(f"{name}={found.location}" for name, found in adapters.items())]
    home = python_home(spec, "sglang")
    pod = build_pod(
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
    return replace(pod, other_nodes=on_other_nodes(pod.container)) if nodes > 1 else pod
