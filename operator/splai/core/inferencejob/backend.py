"""Which ModelBackend answers a job's records, and whether it can.

Backends of one namespace that serve the same id are a pool. A job takes one of it when its work is planned: a ready
one before others, the oldest of those. Then it stays with it, because the work order names its address. An unknown or
unready backend is waited for; it often arrives with the next file of the same ``kubectl apply``.
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


def choose_backend(
    job: InferenceJob, backends: Sequence[ModelBackend], *, planned_for: str | None = None
) -> BackendChoice:
    """The job's backend out of all of its namespace.

    ``planned_for`` is what the ledger says, in case that the status of a planned job was lost or not written yet.
    """
    bound = (job.status.backend if job.status.spec_hash is not None else None) or planned_for
    alive = [backend for backend in backends if "deletionTimestamp" not in backend.metadata]
    candidates = [backend for backend in alive if _serves(job, backend, bound)]
    if not candidates:
        return BackendChoice(None, _verdict("False", "BackendNotFound", _not_found(job, alive, bound)))
    backend = min(candidates, key=_preference)
    name = backend.metadata["name"]
    if job.spec.workers.mode == "Dedicated":
        return BackendChoice(backend, _verdict("True", "Dedicated", f"each worker runs the engine of {name} beside it"))
    if is_true(backend.status.conditions, "Ready"):
        return BackendChoice(backend, _verdict("True", "BackendReady", f"ModelBackend {name} is ready"))
    ready = find_condition(backend.status.conditions, "Ready")
    detail = f": {ready.reason}: {ready.message}" if ready else ""
    return BackendChoice(backend, _verdict("False", "BackendNotReady", f"ModelBackend {name} is not ready{detail}"))


def _verdict(status: str, reason: str, message: str) -> Verdict:
    return Verdict("BackendReady", "True" if status == "True" else "False", reason, message)


def _serves(job: InferenceJob, backend: ModelBackend, bound: str | None) -> bool:
    if bound:
        return bool(backend.metadata["name"] == bound)
    if job.spec.backend_ref:
        return bool(backend.metadata["name"] == job.spec.backend_ref.name)
    return job.spec.model in backend.spec.model.ids


def _preference(backend: ModelBackend) -> tuple[bool, str, str]:
    ready = is_true(backend.status.conditions, "Ready")
    return not ready, backend.metadata.get("creationTimestamp") or "", backend.metadata["name"]


def _not_found(job: InferenceJob, backends: Sequence[ModelBackend], bound: str | None) -> str:
    namespace = job.metadata["namespace"]
    if bound:
        return f"ModelBackend {bound} of namespace {namespace}, which the work was planned for, is gone"
    if job.spec.backend_ref:
        names = [backend.metadata["name"] for backend in backends]
        return f"namespace {namespace} has no ModelBackend {job.spec.backend_ref.name}; it has: {_listed(names)}"
    if job.spec.model is None:
        return "the job names no model, and nobody knows that of its policy"
    ids = [model_id for backend in backends for model_id in backend.spec.model.ids]
    return f"no ModelBackend of namespace {namespace} serves {job.spec.model!r}; served there: {_listed(ids)}"


def _listed(names: Sequence[str]) -> str:
    unique = sorted(set(names))
    return ", ".join(unique[:_SHOWN_IDS]) + (", …" if len(unique) > _SHOWN_IDS else "") if unique else "nothing"
