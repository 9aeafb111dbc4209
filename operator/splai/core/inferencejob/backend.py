"""Which ModelBackend answers a job's records, and whether it can.

Backends of one namespace that serve the same id are a pool. A job takes one of it when its work is planned: a ready
one before others, one with replicas before one at zero, the oldest of those. Then it stays with it, because the work
order names its address. An unknown or unready backend is waited for; it often arrives with the next file of the same
``kubectl apply``. One that autoscaling has at zero is ready: the job's work is what brings its first replica.

An id means, in this order, the backends of the job's own namespace; as ``namespace/id`` those of that namespace; those
of all others. Backends of others count where their ``access`` admits the job's namespace.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from splai.api.inference_job import InferenceJob
from splai.api.model_backend import ModelBackend
from splai.core.conditions import Verdict, find_condition, is_true

_SHOWN_IDS = 20


@dataclass(frozen=True)
class BackendChoice:
    """The backend, if there is one, and the condition BackendReady as far as the backend itself decides it."""

    backend: ModelBackend | None
    verdict: Verdict

    @property
    def usable(self) -> bool:
        return self.verdict.status == "True"


def backend_reference(backend: ModelBackend, namespace: str) -> str:
    """The backend's name as seen from a namespace: with its own namespace before it, where that is another one."""
    name, home = backend.metadata["name"], backend.metadata["namespace"]
    return str(name if home == namespace else f"{home}/{name}")


def choose_backend(
    job: InferenceJob, backends: Sequence[ModelBackend], *, planned_for: str | None = None
) -> BackendChoice:
    """The job's backend out of all of its namespace, and those of others that are open to it.

    ``planned_for`` is what the ledger says, in case that the status of a planned job was lost or not written yet.
    """
    bound = (job.status.backend if job.status.spec_hash is not None else None) or planned_for
    alive = [backend for backend in backends if "deletionTimestamp" not in backend.metadata]
    candidates = _candidates(job, alive, bound)
    if not candidates:
        return BackendChoice(None, _verdict("False", "BackendNotFound", _not_found(job, alive, bound)))
    if len(candidates) > 1 and _wants_default(job, bound):
        return BackendChoice(None, _verdict("False", "BackendNotFound", _several_defaults(job, candidates)))
    backend = min(candidates, key=_preference)
    name = backend_reference(backend, job.metadata["namespace"])
    if job.spec.workers.mode == "Dedicated":
        nodes = backend.spec.resources.nodes
        if nodes > 1:
            return BackendChoice(backend, _verdict("False", "BackendNotReady", _spans_nodes(name, nodes)))
        return BackendChoice(backend, _verdict("True", "Dedicated", f"each worker runs the engine of {name} beside it"))
    if _is_at_zero(backend):
        return BackendChoice(backend, _at_zero(backend, name))
    if is_true(backend.status.conditions, "Ready"):
        return BackendChoice(backend, _verdict("True", "BackendReady", f"ModelBackend {name} is ready"))
    ready = find_condition(backend.status.conditions, "Ready")
    detail = f": {ready.reason}: {ready.message}" if ready else ""
    return BackendChoice(backend, _verdict("False", "BackendNotReady", f"ModelBackend {name} is not ready{detail}"))


def _verdict(status: str, reason: str, message: str) -> Verdict:
    return Verdict("BackendReady", "True" if status == "True" else "False", reason, message)


def _is_at_zero(backend: ModelBackend) -> bool:
    ready = find_condition(backend.status.conditions, "Ready")
    return ready is not None and ready.reason == "ScaledToZero"


def _at_zero(backend: ModelBackend, name: str) -> Verdict:
    """With autoscaling the job's own work brings a replica; else nothing does before somebody changes the number."""
    if backend.spec.autoscaling is not None:
        return _verdict("True", "BackendReady", f"ModelBackend {name} is at zero replicas and starts one for the job")
    return _verdict("False", "BackendNotReady", f"ModelBackend {name} is not ready: its spec.replicas is 0")


def _candidates(job: InferenceJob, backends: Sequence[ModelBackend], bound: str | None) -> list[ModelBackend]:
    namespace, model = job.metadata["namespace"], job.spec.model
    if bound:
        return [backend for backend in backends if backend_reference(backend, namespace) == bound]
    own = [backend for backend in backends if _is_of(backend, namespace)]
    if job.spec.backend_ref:
        return [backend for backend in own if backend.metadata["name"] == job.spec.backend_ref.name]
    if model is None:
        return [backend for backend in own if backend.spec.routing.default]
    found = [backend for backend in own if model in backend.spec.model.ids]
    if found or job.spec.workers.mode == "Dedicated":  # volumes and Secrets of an engine are its own namespace's
        return found
    others = [backend for backend in backends if backend not in own and backend.spec.access.admits(namespace)]
    named, _, model_id = model.partition("/")
    found = [backend for backend in others if _is_of(backend, named) and model_id in backend.spec.model.ids]
    return found or [backend for backend in others if model in backend.spec.model.ids]


def _is_of(backend: ModelBackend, namespace: str) -> bool:
    return bool(backend.metadata["namespace"] == namespace)


def _wants_default(job: InferenceJob, bound: str | None) -> bool:
    return not bound and job.spec.model is None and job.spec.backend_ref is None


def _preference(backend: ModelBackend) -> tuple[bool, bool, str, str]:
    ready = is_true(backend.status.conditions, "Ready")
    return not ready, _is_at_zero(backend), backend.metadata.get("creationTimestamp") or "", backend.metadata["name"]


def _several_defaults(job: InferenceJob, defaults: Sequence[ModelBackend]) -> str:
    names = _listed([backend.metadata["name"] for backend in defaults])
    return (
        f"the job names no model, and namespace {job.metadata['namespace']} has more than one default backend: "
        f"{names}; leave routing.default to one of them"
    )


def _spans_nodes(name: str, nodes: int) -> str:
    return (
        f"a replica of ModelBackend {name} spans {nodes} nodes, and cannot run beside a worker: "
        "use workers.mode Shared, or a backend of one node"
    )


def _not_found(job: InferenceJob, backends: Sequence[ModelBackend], bound: str | None) -> str:
    namespace = job.metadata["namespace"]
    own = [backend for backend in backends if _is_of(backend, namespace)]
    if bound:
        where = "" if "/" in bound else f" of namespace {namespace}"
        return f"ModelBackend {bound}{where}, which the work was planned for, is gone"
    if job.spec.backend_ref:
        names = [backend.metadata["name"] for backend in own]
        return f"namespace {namespace} has no ModelBackend {job.spec.backend_ref.name}; it has: {_listed(names)}"
    if job.spec.model is None:
        whose = "neither the job nor its policy names a model" if job.spec.policy else "the job names no model"
        return f"{whose}, and no ModelBackend of namespace {namespace} has routing.default"
    ids = [model_id for backend in own for model_id in backend.spec.model.ids]
    served = f"no ModelBackend of namespace {namespace} serves {job.spec.model!r}; served there: {_listed(ids)}"
    if job.spec.workers.mode == "Dedicated":
        return served
    open_ids = [
        f"{backend.metadata['namespace']}/{backend.spec.model.id}"
        for backend in backends
        if backend not in own and backend.spec.access.admits(namespace)
    ]
    return f"{served}; open to it: {_listed(open_ids)}" if open_ids else served


def _listed(names: Sequence[str]) -> str:
    unique = sorted(set(names))
    return ", ".join(unique[:_SHOWN_IDS]) + (", …" if len(unique) > _SHOWN_IDS else "") if unique else "nothing"
