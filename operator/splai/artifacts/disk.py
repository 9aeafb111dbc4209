"""How full the store is, and what is refused because of it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final as Constant

from splai.api.ledger import INPUT_PREFIX, PLAN, READING
from splai.artifacts.errors import APIError
from splai.artifacts.folder import INSUFFICIENT_STORAGE, StoreUnavailable

LEAST_FREE: Constant = 0.05
FULL_SECONDS: Constant = 30.0  # longer than a worker waits between two tries


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a volume."""

    used: int
    free: int

    @property
    def low(self) -> bool:
        return self.free < LEAST_FREE * (self.used + self.free)


MeasureSpace = Callable[[], Space]


def space_of(root: Path) -> Space:
    """Of the volume that holds ``root``; what is reserved for the superuser counts as used by nobody."""
    usage = shutil.disk_usage(root)
    return Space(used=usage.used, free=usage.free)


class Room:
    """Refuses what begins a job while little is free, so that running ones can finish; knows when nothing fits.

    ``space`` is None for a bucket, whose room nobody can tell.
    """

    def __init__(self, space: MeasureSpace | None, clock: Callable[[], float]) -> None:
        self._space = space
        self._clock = clock
        self._failed_at = float("-inf")

    @property
    def is_low(self) -> bool:
        """Whether what begins a job must wait."""
        return self._space is not None and self._space().low

    def check(self, path: str) -> None:
        """Raise APIError for an object that must wait."""
        begins_a_job = path in (READING, PLAN) or path.startswith(INPUT_PREFIX)
        if begins_a_job and self.is_low:
            message = "less than 5 % of the artifact store is free: no new job is read or planned"
            raise APIError(507, INSUFFICIENT_STORAGE, message)

    def note(self, failure: StoreUnavailable) -> None:
        """To be told of every write that failed."""
        if failure.code == INSUFFICIENT_STORAGE:
            self._failed_at = self._clock()

    @property
    def is_used_up(self) -> bool:
        """Whether a write did not fit lately. A small one may, so success says little."""
        return self._clock() - self._failed_at < FULL_SECONDS
