"""The history in the artifact store: each job's record in the job's own folder, and gone with it.

That is meant for installations without a database, whose folders end after the retention; whoever wants to search years
of jobs takes PostgreSQL.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from splai.api.history import HistoryRecord
from splai.api.ledger import HISTORY
from splai.artifacts.client import ArtifactClient
from splai.artifacts.folder import StoreRefused, StoreUnavailable
from splai.history.store import HistoryUnavailable


class ArtifactHistory:
    """``history.json`` of every job."""

    def __init__(self, client: ArtifactClient, *, deadline: float | None = None) -> None:
        """``deadline`` bounds each write and each read of a record, in seconds; without one it is the client's."""
        self._client = client
        self._deadline = deadline

    async def save(self, record: HistoryRecord) -> None:
        with _translated():
            folder = self._client.job(record.namespace, record.uid, deadline=self._deadline)
            await folder.put(HISTORY, record.model_dump_json(by_alias=True, exclude_none=True).encode())

    async def get(self, namespace: str, uid: str) -> HistoryRecord | None:
        with _translated():
            data = await self._client.job(namespace, uid, deadline=self._deadline).get(HISTORY)
        try:
            return None if data is None else HistoryRecord.model_validate_json(data)
        except ValidationError:
            raise HistoryUnavailable(f"{HISTORY} of {namespace}/{uid} is no history record") from None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (StoreUnavailable, StoreRefused) as error:
        raise HistoryUnavailable(f"the artifact store: {error.code}") from error
