"""The history in PostgreSQL: one row a job in the table ``splai_jobs``, made by itself, to be read with psql.

The columns are for people and their queries; ``record`` is the whole. Connections are made when they are needed and
again after they were lost, so neither side has to be up first.
"""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from typing import Final as Constant

import asyncpg

from splai.api.base import parse_time
from splai.api.history import HistoryRecord
from splai.history.store import HistoryUnavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy  # is no subscriptable class when the program runs

    Connection = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

CONNECTIONS: Constant = 4
CONNECT_SECONDS: Constant = 5.0
COMMAND_SECONDS: Constant = 10.0
_TABLE_LOCK = 0x53504C41  # any number that nobody else uses: two replicas that start make the table one by one
_NUL = re.compile(r"(\\\\)|\0|\\u0000")  # of an escaped backslash the second is no beginning of \u0000
_Result = TypeVar("_Result")

_COLUMNS = {
    "uid": "text PRIMARY KEY",
    "namespace": "text NOT NULL",
    "name": "text NOT NULL",
    "phase": "text",
    "message": "text NOT NULL",
    "type": "text NOT NULL",
    "model": "text",
    "backend": "text",
    "policy": "text",
    "priority": "text",
    "input": "text NOT NULL",
    "output_uri": "text",
    "total": "bigint NOT NULL",
    "succeeded": "bigint NOT NULL",
    "failed": "bigint NOT NULL",
    "prompt_tokens": "bigint NOT NULL",
    "completion_tokens": "bigint NOT NULL",
    "total_tokens": "bigint NOT NULL",
    "created_at": "timestamptz NOT NULL",
    "started_at": "timestamptz",
    "completed_at": "timestamptz",
    "archived_at": "timestamptz NOT NULL",
    "record": "jsonb NOT NULL",
}
_CREATE = f"CREATE TABLE splai_jobs ({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())})"
_INDEX = (  # for the people: what a namespace archived last
    "CREATE INDEX splai_jobs_newest ON splai_jobs (namespace, archived_at DESC, uid DESC)"
)
_SAVE = (
    f"INSERT INTO splai_jobs ({', '.join(_COLUMNS)}) "  # noqa: S608 - the names above
    f"VALUES ({', '.join(f'${number}' for number, _ in enumerate(_COLUMNS, 1))}) "
    f"ON CONFLICT (uid) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS if name != 'uid')}"
)
_GET = "SELECT record FROM splai_jobs WHERE namespace = $1 AND uid = $2"


class PostgresHistory:
    """Rows of ``splai_jobs``."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._has_table = False

    async def save(self, record: HistoryRecord) -> None:
        await self._run(lambda connection: connection.execute(_SAVE, *_row(record)))

    async def get(self, namespace: str, uid: str) -> HistoryRecord | None:
        row = await self._run(lambda connection: connection.fetchrow(_GET, namespace, uid))
        return None if row is None else HistoryRecord.model_validate_json(row["record"])

    async def _run(self, work: "Callable[[Connection], Awaitable[_Result]]") -> _Result:
        """Once more after a failure: the connection may have been lost while nobody used it."""
        try:
            return await self._try(work)
        except _FAILURES:
            await self._pool.expire_connections()
        try:
            return await self._try(work)
        except _FAILURES as error:
            code = getattr(error, "sqlstate", None)
            raise HistoryUnavailable(f"PostgreSQL: {type(error).__name__}{f' ({code})' if code else ''}") from None

    async def _try(self, work: "Callable[[Connection], Awaitable[_Result]]") -> _Result:
        async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            if not self._has_table:
                await _make_table(connection)
                self._has_table = True
            return await work(connection)


_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def new_pool(dsn: str) -> "Pool":
    """A pool that opens no connection before one is needed; to be used as a context."""
    return asyncpg.create_pool(
        dsn, min_size=0, max_size=CONNECTIONS, timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS
    )


async def _make_table(connection: "Connection") -> None:
    """Unless it exists: then the user needs no right to make one."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _TABLE_LOCK)
        if await connection.fetchval("SELECT to_regclass('splai_jobs')") is None:
            await connection.execute(_CREATE)
            await connection.execute(_INDEX)


def _row(record: HistoryRecord) -> list[Any]:
    status = record.status
    values: dict[str, Any] = {
        "uid": record.uid,
        "namespace": record.namespace,
        "name": record.name,
        "phase": status.phase,
        "message": status.message,
        "type": record.type,
        "model": record.model,
        "backend": status.backend,
        "policy": record.policy,
        "priority": record.priority,
        "input": record.input,
        "output_uri": status.output.uri if status.output else None,
        "total": status.total,
        "succeeded": status.succeeded,
        "failed": status.failed,
        "prompt_tokens": status.usage.prompt_tokens,
        "completion_tokens": status.usage.completion_tokens,
        "total_tokens": status.usage.total_tokens,
        "created_at": parse_time(record.created_at),
        "started_at": parse_time(status.start_time) if status.start_time else None,
        "completed_at": parse_time(status.completion_time) if status.completion_time else None,
        "archived_at": parse_time(record.archived_at),
        "record": record.model_dump_json(by_alias=True, exclude_none=True),
    }
    return [_storable(values[name]) for name in _COLUMNS]


def _storable(value: Any) -> Any:
    """PostgreSQL's text holds no NUL, neither as it is nor as JSON writes it."""
    return _NUL.sub(lambda found: found[1] or "", value) if isinstance(value, str) else value
