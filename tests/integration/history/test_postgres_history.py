"""The history in a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from splai.artifacts.client import ArtifactClient
from splai.history import HistoryStore, HistoryUnavailable, open_history
from tests.archived_jobs import archived_job
from tests.integration.postgres import Postgres


@asynccontextmanager
async def history_in(dsn: str, directory: Path) -> AsyncIterator[HistoryStore]:
    environment = {"SPLAI_STORE": "postgres", "SPLAI_POSTGRES_DSN": dsn}
    async with (
        ArtifactClient("http://artifacts", directory / "token") as artifacts,
        open_history(environment, artifacts) as history,
    ):
        yield history


@pytest.fixture
def database(postgres: Postgres) -> Postgres:
    return postgres.make_database()


@pytest.fixture
async def history(database: Postgres, tmp_path: Path) -> AsyncIterator[HistoryStore]:
    async with history_in(database.dsn, tmp_path) as history:
        yield history


def count(database: Postgres) -> int:
    return int(database.psql("SELECT count(*) FROM splai_jobs"))


async def test_a_record_is_read_as_it_was_saved(history: HistoryStore) -> None:
    await history.save(archived_job())
    assert await history.get("team-a", "uid-1") == archived_job()
    assert await history.get("team-b", "uid-1") is None


async def test_a_person_finds_it_with_psql(history: HistoryStore, database: Postgres) -> None:
    await history.save(archived_job())
    row = database.psql(
        "SELECT namespace, name, phase, model, backend, input, output_uri, total, failed, total_tokens, "
        "completed_at AT TIME ZONE 'UTC', record->'labels'->>'team' FROM splai_jobs"
    )
    assert row == (
        "team-a|triage|Completed|llama3-8b-q4|llama3-8b|s3 s3://bucket/tickets.jsonl|s3://bucket/triage/output.jsonl"
        "|3|1|30|2026-01-01 00:02:00|support"
    )


async def test_saving_again_replaces(history: HistoryStore, database: Postgres) -> None:
    for moment in ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"):
        await history.save(archived_job(archived_at=moment))
    assert await history.get("team-a", "uid-1") == archived_job(archived_at="2026-01-03T00:00:00Z")
    assert count(database) == 1


async def test_two_operators_that_start_at_once_make_one_table(database: Postgres, tmp_path: Path) -> None:
    async with history_in(database.dsn, tmp_path) as one, history_in(database.dsn, tmp_path) as other:
        await asyncio.gather(*(history.save(archived_job(f"uid-{n}")) for n in range(4) for history in (one, other)))
    assert count(database) == 4


async def test_a_user_without_the_right_to_make_tables_uses_one_that_is_there(
    history: HistoryStore, database: Postgres, tmp_path: Path
) -> None:
    await history.save(archived_job())
    role = f"writer_{database.dsn.rpartition('/')[2].partition('?')[0]}"
    database.psql(f"CREATE ROLE {role} LOGIN PASSWORD 'writer'")
    database.psql(f"GRANT SELECT, INSERT, UPDATE ON splai_jobs TO {role}")
    async with history_in(database.dsn.replace("splai:splai@", f"{role}:writer@"), tmp_path) as limited:
        await limited.save(archived_job("uid-2"))
    assert count(database) == 2


async def test_a_nul_in_an_engines_words_is_left_out(history: HistoryStore) -> None:
    job = archived_job()
    status = job.status.model_copy(update={"message": "a\0b \\u0000"})
    await history.save(job.model_copy(update={"status": status}))
    saved = await history.get("team-a", "uid-1")
    assert saved is not None
    assert saved.status.message == "ab \\u0000"


async def test_a_database_that_comes_back_is_used_again(own_postgres: Postgres, tmp_path: Path) -> None:
    async with history_in(own_postgres.dsn, tmp_path) as history:
        await history.save(archived_job())
        own_postgres.kill()
        with pytest.raises(HistoryUnavailable) as unavailable:
            await history.save(archived_job("uid-2"))
        own_postgres.start()
        await history.save(archived_job("uid-2"))
    assert count(own_postgres) == 2
    assert "splai:splai" not in str(unavailable.value)


async def test_a_wrong_password_is_told_by_its_kind(postgres: Postgres, tmp_path: Path) -> None:
    async with history_in(postgres.dsn.replace("splai:splai@", "splai:wrong@"), tmp_path) as history:
        with pytest.raises(HistoryUnavailable, match=r"PostgreSQL: InvalidPasswordError \(28P01\)"):
            await history.save(archived_job())
