"""A program served as a model by SPLAI's own server, ``splai workflow serve``.

The ConfigMap's files become the folder of the callable's package, so that they import one another as they would from a
checkout. A ConfigMap that is missing does not keep the pod from starting: the server then ends and says what it misses,
where the kubelet would wait in silence.
"""

from splai.api.backend_workflow import Workflow
from splai.api.model_backend import ModelBackendSpec
from splai.api.pod_contract import POD_USER
from splai.engines.images import EngineImages
from splai.engines.mount import SCRATCH, Mount
from splai.engines.pod import EnginePod, build_pod
from splai.engines.requests import SMALL

PORT = 8000
CODE_PATH = "/workflow"

_ENVIRONMENT = {"HOME": SCRATCH.path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


def engine_pod(spec: ModelBackendSpec, workflow: Workflow, images: EngineImages) -> EnginePod:
    """Answers to the model's id and to every alias."""
    args = [workflow.callable, "--model", spec.model.id]
    for alias in spec.model.aliases:
        args += ["--alias", alias]
    mounts: list[Mount] = []
    if workflow.config_map is not None:
        args += ["--code", CODE_PATH]
        volume = {"name": "workflow", "configMap": {"name": workflow.config_map.name, "optional": True}}
        mounts.append(Mount(volume, _package_folder(workflow.callable), read_only=True))
    return build_pod(
        spec,
        image=workflow.image or images.splai,
        port=PORT,
        health_path="/health",
        command=["splai", "workflow", "serve"],
        args=[*args, "--port", str(PORT)],
        env=_ENVIRONMENT,
        user=POD_USER,
        weights=(),
        mounts=mounts,
        requests=SMALL,
    )


def _package_folder(target: str) -> str:
    """``/workflow/support_desk`` for support_desk.workflow:answer, ``/workflow`` for a module without a package."""
    *packages, _ = target.partition(":")[0].split(".")
    return "/".join([CODE_PATH, *packages])
