"""vLLM's OpenAI-compatible server, for GPUs: https://docs.vllm.ai

It listens once the model is loaded and compiled; until then its port refuses connections.

Answers to the model's id, to every alias and to every adapter. Adapters of a rank above 16 need ``--max-lora-rank`` in
``engine.args``.

A replica of several nodes is one engine by "multiprocessing", without Ray: tensor parallel on each node, pipeline
parallel over the nodes, every node started by the same command with its rank, and all but the first ``--headless``
(https://docs.vllm.ai/en/latest/serving/parallelism_scaling/, since vLLM 0.11.1).
"""

from dataclasses import replace

from splai.api.model_backend import ModelBackendSpec
from splai.engines.images import EngineImages
from splai.engines.metrics import Metrics
from splai.engines.nodes import FIRST, RANK, on_other_nodes
from splai.engines.pod import EnginePod, build_pod
from splai.engines.python_home import LOAD_MINUTES, python_home, tensor_parallel_size
from splai.engines.requests import of_gpu_server
from splai.engines.weights import adapter_weights, model_weights

PORT = 8000

METRICS = Metrics(  # https://docs.vllm.ai/en/latest/usage/metrics/, and vllm/v1/metrics/loggers.py
    requests_running="vllm:num_requests_running",
    requests_waiting="vllm:num_requests_waiting",
    kv_cache_usage_ratio="vllm:kv_cache_usage_perc",
    prompt_tokens_total="vllm:prompt_tokens_total",
    generated_tokens_total="vllm:generation_tokens_total",
    time_to_first_token_seconds="vllm:time_to_first_token_seconds",  # noqa: S106 - no password
)

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
    if spec.resources.nodes > 1:
        args += _group_arguments(spec.resources.nodes)
    home = python_home(spec, "vllm")
    pod = build_pod(
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
        metrics=METRICS,
        requests=of_gpu_server(spec),
        load_minutes=LOAD_MINUTES,
    )
    if spec.resources.nodes == 1:
        return pod
    return replace(pod, other_nodes=on_other_nodes(pod.container, "--headless"))


def _group_arguments(nodes: int) -> list[str]:
    return [
        *("--pipeline-parallel-size", str(nodes), "--nnodes", str(nodes)),
        *("--node-rank", RANK, "--master-addr", FIRST),
    ]
