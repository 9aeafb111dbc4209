"""Where the records of the chunks stood in the input, remembered only where the counting changes."""

from bisect import bisect_right
from typing import Final, Literal, NamedTuple

from splai.core.inferencejob.records import place_of

MOST_CHANGES: Final = 50_000
Unit = Literal["line", "row"]


class _Change(NamedTuple):
    """From an index on: by how much the lines run ahead of it, and in which file."""

    lines_ahead: int
    file: str
    unit: Unit


class Places:
    """Blank lines and rows of several lines are changes; of an input that is full of them the rest has no lines."""

    def __init__(self) -> None:
        self._missing: list[int] = []  # the index at which a record could not be read: few, for chunks end soon
        self._from: list[int] = []
        self._changes: list[_Change] = []
        self._last: tuple[int, str] | None = None
        self._known = 0

    def skip(self, index: int) -> None:
        """A record that came before the one of the index is in no chunk."""
        self._missing.append(index)

    def note(self, index: int, number: int, file: str, unit: Unit) -> None:
        """Of the record at an index of the chunks, ascending: its line or row in a file."""
        now = (number - index, file)
        if now != self._last:
            self._last = now
            if len(self._changes) >= MOST_CHANGES:
                return
            self._from.append(index)
            self._changes.append(_Change(*now, unit))
        if len(self._changes) < MOST_CHANGES:
            self._known = index + 1

    def record(self, index: int) -> int:
        """The number of the record at an index among all of the input, counted from 1."""
        return index + 1 + bisect_right(self._missing, index)

    def of(self, index: int) -> str:
        """The place of the record at an index."""
        if index >= self._known:
            return f"record {self.record(index)}"
        change = self._changes[bisect_right(self._from, index) - 1]
        return place_of(self.record(index), change.lines_ahead + index, file=change.file, unit=change.unit)
