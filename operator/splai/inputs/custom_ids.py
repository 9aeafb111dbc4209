"""Whether two records have one custom_id, in 8 bytes a record.

Of each id only a 64-bit hash is kept, in one of 256 arrays by its last bits, so that a bucket at a time can be searched
for values that come twice. Equal hashes are a suspicion: the records themselves are looked at again, see ``suspects``.
The hash is Python's own, which is keyed anew in every process: nobody can choose ids that collide.
"""

from array import array
from collections import Counter
from typing import Final

BUCKETS: Final = 256
MOST_SUSPECTS: Final = 10_000


class CustomIds:
    """The ids of all records so far."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(BUCKETS)]

    def add(self, custom_id: str) -> None:
        value = hash(custom_id)
        self._buckets[value & 255].append(value)

    def repeats(self) -> int:
        """How many records have the hash of an earlier one: as good as always the number of duplicates."""
        return sum(len(bucket) - len(set(bucket)) for bucket in self._buckets)

    def suspects(self) -> frozenset[int]:
        """Hashes that came more than once; enough of them to name the first problems."""
        found: set[int] = set()
        for bucket in self._buckets:
            if len(set(bucket)) < len(bucket):
                found.update(value for value, count in Counter(bucket).items() if count > 1)
            if len(found) >= MOST_SUSPECTS:
                break
        return frozenset(found)
