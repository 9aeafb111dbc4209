"""Which history the environment asks for."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from splai.artifacts.client import ArtifactClient
from splai.history import HistorySettingsInvalid, HistoryUnavailable, open_history
from splai.history.in_artifacts import ArtifactHistory
from splai.history.postgres import PostgresHistory
from tests.archived_jobs import archived_job

DSN = "postgres://splai:splai@postgres:5432/splai?sslmode=disable"


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, ArtifactHistory),
        ({"SPLAI_STORE": "artifacts", "SPLAI_POSTGRES_DSN": DSN}, ArtifactHistory),
        ({"SPLAI_STORE": "postgres", "SPLAI_POSTGRES_DSN": DSN}, PostgresHistory),
    ],
)
async def test_the_store_is_chosen_by_a_variable(tmp_path: Path, environment: Mapping[str, str], kind: type) -> None:
    async with (
        ArtifactClient("http://artifacts", tmp_path / "token") as artifacts,
        open_history(environment, artifacts) as history,
    ):
        assert isinstance(history, kind)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SPLAI_STORE": "mysql"}, "SPLAI_STORE"),
        ({"SPLAI_STORE": "postgres"}, "SPLAI_POSTGRES_DSN"),
        ({"SPLAI_STORE": "postgres", "SPLAI_POSTGRES_DSN": "mysql://splai:secret@db/splai"}, "SPLAI_POSTGRES_DSN"),
        ({"SPLAI_STORE": "postgres", "SPLAI_POSTGRES_DSN": "postgres://u:secret@db:port/x"}, "SPLAI_POSTGRES_DSN"),
    ],
)
async def test_a_wrong_variable_is_named_and_a_password_is_not(
    tmp_path: Path, environment: Mapping[str, str], named: str
) -> None:
    async with ArtifactClient("http://artifacts", tmp_path / "token") as artifacts:
        with pytest.raises(HistorySettingsInvalid, match=named) as invalid:
            async with open_history(environment, artifacts):
                pass
    assert "secret" not in str(invalid.value)


async def test_a_deadline_bounds_how_long_a_record_may_take(tmp_path: Path) -> None:
    """The client's own is for those whom nobody waits for."""
    (tmp_path / "token").touch()
    async with (
        asyncio.timeout(30),
        ArtifactClient("http://127.0.0.1:9", tmp_path / "token", deadline=600) as artifacts,
        open_history({}, artifacts, deadline=0.1) as history,
    ):
        with pytest.raises(HistoryUnavailable):
            await history.save(archived_job())
        with pytest.raises(HistoryUnavailable):
            await history.get("team-a", "uid-1")
