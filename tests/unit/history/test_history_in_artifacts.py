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
    assert [record.archived_at for record in (await history.list("team-a")).records] == ["2026-01-03T00:00:00Z"]


async def test_a_list_is_of_one_namespace_newest_first_and_in_pages(
    history: ArtifactHistory, client: ArtifactClient
) -> None:
    for number in (2, 4, 1, 3):
        await history.save(archived_job(f"uid-{number}", archived_at=f"2026-01-0{number}T00:00:00Z"))
    await history.save(archived_job("uid-9", namespace="team-b"))
    await client.job("team-a", "uid-running").create("plan.json", b"{}")
    first = await history.list("team-a", limit=3)
    second = await history.list("team-a", limit=3, before=first.next)
    assert [record.uid for record in first.records] == ["uid-4", "uid-3", "uid-2"]
    assert [record.uid for record in second.records] == ["uid-1"]
    assert second.next is None


@pytest.mark.parametrize("before", ["uid-1", "2026-01-01/uid-1", "2026-01-01T00:00:00Z"])
async def test_a_place_that_no_page_gave_is_refused(history: ArtifactHistory, before: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of its parts is wrong
        await history.list("team-a", before=before)


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
