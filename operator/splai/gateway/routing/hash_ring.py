"""Consistent hashing: a key keeps its pod while others come and go.

Each pod stands at many points of a ring; a key belongs to the first pod at or after its own point. A pod that goes
leaves its keys to many others, and only those keys move.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import blake2b

POINTS_PER_MEMBER = 100


class HashRing:
    """Of members that do not change; the same in every process."""

    __slots__ = ("_count", "_members", "_points")

    def __init__(self, members: Sequence[str]) -> None:
        placed = sorted(
            (hash_of(f"{member} {number}".encode()), member)
            for member in members
            for number in range(POINTS_PER_MEMBER)
        )
        self._points = [point for point, _ in placed]
        self._members = [member for _, member in placed]
        self._count = len(set(members))

    def walk(self, point: int) -> Iterator[str]:
        """All members, the one that the point belongs to first, then those to whom it would go without it."""
        start = bisect_left(self._points, point)
        seen: set[str] = set()
        for offset in range(len(self._members)):
            member = self._members[(start + offset) % len(self._members)]
            if member not in seen:
                seen.add(member)
                yield member
                if len(seen) == self._count:
                    return


def hash_of(key: bytes) -> int:
    """64 bits that differ much between keys that differ little, as CRCs of similar addresses do not."""
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")
