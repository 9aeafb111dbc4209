"""The history without a database, on a real artifact server."""

from collections.abc import AsyncIterator

import pytest

from splai.artifacts.client import ArtifactClient
from splai.history import HistoryUnavailable
from splai.history.in_artifacts import ArtifactHistory
from tests.archived_jobs import archived_job
from tests.unit.artifacts.conftest import GATEWAY, Server, cluster, server, service_token

__all__ = ["cluster", "server"]


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ArtifactClient]:
    async with server.client(service_token()) as client:
        yield client


@pytest.fixture
def history(client: ArtifactClient) -> ArtifactHistory:
    return ArtifactHistory(client)


async def test_a_record_is_read_as_it_was_saved(history: ArtifactHistory) -> None:
    await history.save(archived_job())
    assert await history.get("team-a", "uid-1") == archived_job()


async def test_a_job_that_was_not_archived_has_no_record(history: ArtifactHistory) -> None:
    assert await history.get("team-a", "uid-1") is None


async def test_saving_again_replaces(history: ArtifactHistory) -> None:
    for moment in ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"):
        await history.save(archived_job(archived_at=moment))
    assert await history.get("team-a", "uid-1") == archived_job(archived_at="2026-01-03T00:00:00Z")


async def test_a_store_that_refuses_or_is_away_is_unavailable(server: Server) -> None:
    async with server.client(service_token(GATEWAY)) as reader:
        with pytest.raises(HistoryUnavailable, match="forbidden"):
            await ArtifactHistory(reader).save(archived_job())
    async with ArtifactClient("http://127.0.0.1:9", server.token_file, deadline=0.1) as away:
        with pytest.raises(HistoryUnavailable):
            await ArtifactHistory(away).get("team-a", "uid-1")


async def test_what_is_no_record_is_said_to_be_none(history: ArtifactHistory, client: ArtifactClient) -> None:
    await client.job("team-a", "uid-1").put("history.json", b"{}")
    with pytest.raises(HistoryUnavailable, match=r"history.json of team-a/uid-1 is no history record"):
        await history.get("team-a", "uid-1")
