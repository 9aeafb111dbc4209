"""What an engine asks its node for where nobody says it: so much that it is not squeezed in where it cannot work.

Requests, never limits: what an engine takes beyond them is the node's to give. Not the size of the model, which is not
known here; a backend that says nothing of a large one gets a node, and may still be evicted from it.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.engines.python_home import tensor_parallel_size
from splai.engines.weights import on_own_disk

DISK = "ephemeral-storage"

_ONE_GPU_MEMORY_GIB = 6
_LARGE_DISK = "20Gi"  # eight billion parameters at 16 bits are 16 GB; compiled kernels lie beside them
_SMALL_DISK = "2Gi"  # three billion parameters at 4 bits are 1.9 GB

SMALL = {"cpu": "100m", "memory": "256Mi"}
"""More is known of no image of a user's; but a pod that asks for nothing is the first to be evicted."""


def of_ggml(*, disk: bool) -> dict[str, str]:
    """Of llama.cpp, which Ollama runs too: it computes on what is free, and waits for requests most of the time.

    SmolLM2-135M with four slots of its whole context takes 0.9 GiB, measured.
    """
    return {"cpu": "100m", "memory": "1Gi"} | ({DISK: _SMALL_DISK} if disk else {})


def of_gpu_server(spec: ModelBackendSpec) -> dict[str, str]:
    """Of the servers with a process for each GPU, and one before them that speaks HTTP and makes tokens.

    For one GPU it is what vLLM's own manifest asks for, https://docs.vllm.ai/en/latest/deployment/k8s/: each process
    keeps a core busy, and holds the libraries, the GPU's context and buffers to load through.
    """
    gpus = tensor_parallel_size(spec)
    return _with_large_disk(spec, {"cpu": str(1 + gpus), "memory": f"{_ONE_GPU_MEMORY_GIB * gpus}Gi"})


def of_one_process(spec: ModelBackendSpec) -> dict[str, str]:
    """Of a server that is one process, whatever it computes on."""
    return _with_large_disk(spec, {"cpu": "1", "memory": f"{_ONE_GPU_MEMORY_GIB}Gi"})


def _with_large_disk(spec: ModelBackendSpec, requests: dict[str, str]) -> dict[str, str]:
    return requests | ({DISK: _LARGE_DISK} if on_own_disk(spec.model) else {})
