"""vLLM's OpenAI-compatible server, for GPUs: https://docs.vllm.ai

Answers to the model's id and to every alias. Weights from Hugging Face are downloaded into the pod's own cache; a gated
model's token comes from ``template.env`` as HF_TOKEN.

A replica of several nodes is one engine by "multiprocessing", without Ray: tensor parallel on each node, pipeline
parallel over the nodes, every node started by the same command with its rank, and all but the first ``--headless``
(https://docs.vllm.ai/en/latest/serving/parallelism_scaling/, since vLLM 0.11.1). Rank and address of the first one are
what LeaderWorkerSet puts into each container's environment
(https://lws.sigs.k8s.io/docs/reference/labels-annotations-and-environment-variables/).
"""

from dataclasses import replace
from typing import Any

from splai.api.model_backend import ModelBackendSpec
from splai.engines.images import EngineImages
from splai.engines.pod import SCRATCH, EnginePod, Mount, build_pod, weights

Object = dict[str, Any]

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
    if spec.resources.nodes > 1:
        args += _group_arguments(spec.resources.nodes)
    pod = build_pod(
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
    return replace(pod, other_nodes=_on_other_nodes(pod.container)) if spec.resources.nodes > 1 else pod


def _group_arguments(nodes: int) -> list[str]:
    """The kubelet fills in the variables, which are there before the container's own."""
    return [
        *("--pipeline-parallel-size", str(nodes), "--nnodes", str(nodes)),
        *("--node-rank", "$(LWS_WORKER_INDEX)", "--master-addr", "$(LWS_LEADER_ADDRESS)"),
    ]


def _on_other_nodes(container: Object) -> Object:
    """The same engine without its API server, so without a port and without anything that a probe could ask."""
    asked = ("ports", "startupProbe", "readinessProbe", "livenessProbe")
    rest = {name: value for name, value in container.items() if name not in asked}
    return {**rest, "args": [*container["args"], "--headless"]}
