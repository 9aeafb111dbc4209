"""The history as its users see it, wherever it is kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from splai.api.base import format_time, parse_time
from splai.api.history import HistoryRecord


class HistoryUnavailable(Exception):
    """The history cannot be read or written now; whether a record was saved is unknown, so save it again.

    The words name the kind of failure, never an address or a credential.
    """


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Records, the newest first; ``next`` is the ``before`` of the page that follows, None at the end."""

    records: list[HistoryRecord]
    next: str | None = None


class HistoryStore(Protocol):
    """Archived jobs by namespace and uid."""

    async def save(self, record: HistoryRecord) -> None:
        """Keep a record; one of the same uid is replaced. Raises HistoryUnavailable."""

    async def get(self, namespace: str, uid: str) -> HistoryRecord | None:
        """A job's record, if it was archived; raises HistoryUnavailable."""

    async def list(self, namespace: str, *, limit: int = 100, before: str | None = None) -> HistoryPage:
        """A namespace's records; raises HistoryUnavailable, or ValueError for a ``before`` that no page gave."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record stands in a list: later archived is newer, and the uid decides between equals."""

    archived_at: datetime
    uid: str

    @classmethod
    def of(cls, record: HistoryRecord) -> "Place":
        return cls(parse_time(record.archived_at), record.uid)

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Read what ``str`` wrote; raises ValueError."""
        moment, slash, uid = text.partition("/")
        place = cls(parse_time(moment), uid)
        if not slash or place.archived_at.tzinfo is None:
            raise ValueError("this is not the next of a page")
        return place

    def __str__(self) -> str:
        return f"{format_time(self.archived_at)}/{self.uid}"


def page_of(newest_first: list[HistoryRecord], limit: int) -> HistoryPage:
    """The first ``limit`` of a list that holds at least one more if there are more."""
    records = newest_first[:limit]
    return HistoryPage(records, str(Place.of(records[-1])) if records and len(newest_first) > limit else None)
