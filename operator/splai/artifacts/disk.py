"""How full the store's volume is."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final as Constant

LEAST_FREE: Constant = 0.05


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a volume. Below 5 % free no new job is planned, so that running ones can finish."""

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
