"""Which history the environment asks for."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from splai.artifacts.client import ArtifactClient
from splai.history import HistorySettingsInvalid, open_history
from splai.history.in_artifacts import ArtifactHistory
from splai.history.postgres import PostgresHistory

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
