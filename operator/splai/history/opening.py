"""Which history an installation has: SPLAI_STORE says it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from splai.artifacts.client import ArtifactClient
from splai.history.in_artifacts import ArtifactHistory
from splai.history.store import HistoryStore

STORE = "SPLAI_STORE"
DSN = "SPLAI_POSTGRES_DSN"


class HistorySettingsInvalid(Exception):
    """A variable holds what it cannot; the words name it and never quote a DSN, which holds a password."""


@asynccontextmanager
async def open_history(
    environment: Mapping[str, str], artifacts: ArtifactClient, *, deadline: float | None = None
) -> AsyncGenerator[HistoryStore]:
    """The history in the artifact store, or with ``SPLAI_STORE=postgres`` in the database of ``SPLAI_POSTGRES_DSN``.

    ``deadline`` bounds a call to the artifact store, in seconds; a database has times of its own. Raises
    HistorySettingsInvalid; that a database cannot be reached is told by the first call.
    """
    kind = environment.get(STORE) or "artifacts"
    if kind == "artifacts":
        yield ArtifactHistory(artifacts, deadline=deadline)
    elif kind == "postgres":
        async with _postgres(environment.get(DSN, "")) as history:
            yield history
    else:
        raise HistorySettingsInvalid(f"{STORE} is {kind!r}: it must be artifacts or postgres")


@asynccontextmanager
async def _postgres(dsn: str) -> AsyncGenerator[HistoryStore]:
    from splai.history.postgres import PostgresHistory, new_pool  # the library is for those who use it

    if not _is_dsn(dsn):
        raise HistorySettingsInvalid(f"{DSN} must be like postgres://user:password@host:5432/database?sslmode=disable")
    pool = await new_pool(dsn)
    try:
        yield PostgresHistory(pool)
    finally:
        pool.terminate()


def _is_dsn(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("postgres", "postgresql") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
