"""Where engines of the Python world write: caches of the Hub, of compilers, and shared memory.

Their images run as root unless told otherwise, and on a read-only root file system they find no home.
"""

from dataclasses import dataclass

from splai.api.model_backend import ModelBackendSpec
from splai.engines.mount import Mount
from splai.engines.weights import CACHE_PATH

LOAD_MINUTES = 60
"""For all that comes before the first answer: a download, loading, compiling, and capturing CUDA graphs."""
HOME = Mount({"name": "cache", "emptyDir": {}}, "/cache")
# Processes of one engine talk through shared memory; a container's own /dev/shm has 64 MiB.
SHARED_MEMORY = Mount({"name": "shm", "emptyDir": {"medium": "Memory"}}, "/dev/shm")  # noqa: S108 - the pod's own


@dataclass(frozen=True)
class PythonHome:
    """Volumes, and the variables that say where they are."""

    mounts: tuple[Mount, ...]
    variables: dict[str, str]


def python_home(spec: ModelBackendSpec, user: str) -> PythonHome:
    """``user`` is a name: PyTorch asks for it, and fails where an image does not know the user's number.

    On a shared cache every engine has a Hub cache of its own, for the files of one are not always another's to write.
    """
    cache = f"{CACHE_PATH}/{spec.engine.type.lower()}" if spec.model.cache else HOME.path
    variables = {"HOME": HOME.path, "HF_HOME": f"{cache}/huggingface", "USER": user}
    return PythonHome((HOME, SHARED_MEMORY), variables)


def tensor_parallel_size(spec: ModelBackendSpec) -> int:
    """Over how many GPUs a model is split: whole ones of a pod; slices of a GPU do not work together."""
    gpu = spec.resources.gpu
    return gpu.count if gpu is not None and gpu.profile is None else 1
