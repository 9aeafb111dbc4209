"""Whose claims may be taken over: rule (b) of the ledger, and nothing else. Pure; ``now`` is the reader's own clock.

A worker's report is its lease on every task it claimed. Its claims are dead when

- the report says ``released``: the worker was asked to stop and has stopped; or
- the report belongs to another pod of the reader's own child Job and index: Kubernetes starts a pod of an index only
  when the one before it has ended; or
- the report has not changed, or not appeared, for 60 seconds on the reader's monotonic clock.

What a report's content says about time is never looked at, so two machines' clocks are never compared. A report is
known to be alive only when it was seen to change: until then it is unknown, because it may be what a killed worker
left behind. A worker that goes home because others hold the remaining tasks waits for that proof.

A wrong verdict "dead" costs work twice and never a line, so none of this needs to be exact.
"""

from dataclasses import dataclass
from enum import Enum

from splai.api.ledger import ALIVE_SECONDS
from splai.worker.settings import Identity


class Lease(Enum):
    """What a reader knows about the worker that holds a claim."""

    ALIVE = "alive"
    UNKNOWN = "unknown"
    DEAD = "dead"


@dataclass(slots=True)
class _Sighting:
    version: str
    changed_at: float
    seen_to_change: bool = False
    released: bool = False


class Leases:
    """The reports of other workers, as this one has seen them change."""

    def __init__(self, reader: Identity) -> None:
        self._reader = reader
        self._sightings: dict[str, _Sighting] = {}

    def changed(self, worker: str, version: str) -> bool:
        """Whether this version of a report is new to the reader, so that it must be read."""
        sighting = self._sightings.get(worker)
        return sighting is None or sighting.version != version

    def observe(self, worker: str, version: str, *, released: bool, now: float) -> None:
        """Take note of a report; ``version`` is any text that differs when the report was written again."""
        sighting = self._sightings.get(worker)
        if sighting is None:
            self._sightings[worker] = _Sighting(version, now, released=released)
        elif sighting.version != version:
            self._sightings[worker] = _Sighting(version, now, seen_to_change=True, released=released)

    def judge(self, worker: str, *, now: float) -> Lease:
        """The state of a worker's claims."""
        if worker.startswith(self._reader.place):  # an earlier pod here, or a claim of one's own that was given up
            return Lease.DEAD
        sighting = self._sightings.setdefault(worker, _Sighting("", now))
        if sighting.released or now - sighting.changed_at >= ALIVE_SECONDS:
            return Lease.DEAD
        return Lease.ALIVE if sighting.seen_to_change else Lease.UNKNOWN
