"""The history as its users see it, wherever it is kept."""

from typing import Protocol

from splai.api.history import HistoryRecord


class HistoryUnavailable(Exception):
    """The history cannot be read or written now; whether a record was saved is unknown, so save it again.

    The words name the kind of failure, never an address or a credential.
    """


class HistoryStore(Protocol):
    """Archived jobs by namespace and uid."""

    async def save(self, record: HistoryRecord) -> None:
        """Keep a record; one of the same uid is replaced. Raises HistoryUnavailable."""

    async def get(self, namespace: str, uid: str) -> HistoryRecord | None:
        """A job's record, if it was archived; raises HistoryUnavailable."""
