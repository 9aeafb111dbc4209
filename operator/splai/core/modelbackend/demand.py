"""What is asked of a ModelBackend: requests at the gateways, and records that the workers of jobs may send now.

Workers call the backend's Service and no gateway sees them. A job counts with the requests that its workers may have in
flight, ``parallelism * concurrency``, but never with more than the records that have no outcome yet.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from splai.api.inference_job import InferenceJob
from splai.api.policy import Policy
from splai.core.conditions import find_condition
from splai.core.inferencejob.policy import PolicyNotFound, PolicyViolation, apply_policy

GAP = 60.0
"""Seconds without a full view after which nobody knows what was asked in the meantime."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Of one backend, as far as it is known; all numbers count requests."""

    requests: int = 0
    """In flight and held at the gateways, now."""
    records: int = 0
    """That workers of jobs may have in flight now."""
    highest: int = 0
    """The most of both together at any moment of the scale-down delay."""
    watched: timedelta = timedelta()
    """For how long nothing escaped."""
    silent: tuple[str, ...] = ()
    """Gateways whose requests are not known."""
    silent_for: timedelta = timedelta()
    """Since when there have been such."""

    @property
    def total(self) -> int:
        return self.requests + self.records


class DemandHistory:
    """The demand of one backend over its scale-down delay; moments are those of any one clock, in seconds.

    Nothing of it outlives the process. One that starts anew knows of no moment before, so it lets a whole delay pass
    before it scales down: later than it could, and never too early.
    """

    def __init__(self) -> None:
        self._window = 0.0
        self._samples: deque[tuple[float, int]] = deque()
        """Only those that no later one exceeds: the first is the highest."""
        self._since: float | None = None
        self._began: float | None = None
        self._complete: float | None = None

    def add(self, total: int, now: float, *, window: float, complete: bool) -> None:
        """The demand of this moment; ``complete`` unless more may be asked than is known."""
        self._began = now if self._began is None else self._began
        if window != self._window:  # what a shorter one has dropped is not known any more
            self._window, self._since, self._complete = window, None, None
        if complete:
            if self._since is None or self._complete is None or now - self._complete > GAP:
                self._since = now
            self._complete = now
        while self._samples and self._samples[-1][1] <= total:
            self._samples.pop()
        self._samples.append((now, total))
        while self._samples[0][0] < now - window:
            self._samples.popleft()

    @property
    def highest(self) -> int:
        """The most that was asked at any moment of the window."""
        return self._samples[0][1] if self._samples else 0

    def watched(self, now: float) -> timedelta:
        """How long the moments reach back without a gap."""
        return timedelta(seconds=now - self._since) if self._since is not None else timedelta()

    def silent_for(self, now: float) -> timedelta:
        """How long not all that is asked has been known."""
        known = self._began if self._complete is None else self._complete
        return timedelta(seconds=now - known) if known is not None else timedelta()


def backend_of(job: InferenceJob) -> str | None:
    """The key ``namespace/name`` of the backend whose Service the job's workers call, or will."""
    chosen = job.status.backend
    if chosen is None or job.spec.workers.mode != "Shared":
        return None
    return chosen if "/" in chosen else f"{job.metadata['namespace']}/{chosen}"


def asked_by(job: InferenceJob, policies: Mapping[str, Policy]) -> int:
    """How many requests the job may have in flight at its backend now.

    None before its workers run: one that waits in a queue, for a node or for its input keeps no GPU from others. One
    that waits for nothing but the backend counts, or both would wait for each other.
    """
    if job.status.phase != "Running" and not _waits_for_backend(job):
        return 0
    spec = apply_policy(job.spec, policies, planned=True)
    workers = job.spec.workers if isinstance(spec, PolicyNotFound | PolicyViolation) else spec.workers
    status = job.status
    open_records = status.total - status.succeeded - status.failed if status.total else 1
    return max(0, min(open_records, workers.parallelism * workers.concurrency))


def _waits_for_backend(job: InferenceJob) -> bool:
    ready = find_condition(job.status.conditions, "Ready")
    return job.status.phase == "Pending" and ready is not None and ready.reason == "BackendNotReady"
