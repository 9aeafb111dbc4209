"""Verified tokens are remembered, within bounds; the table of who may do what is in test_access.py."""

import time
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from splai.artifacts import auth
from splai.artifacts.auth import Authenticator, JobPod, Service, Unauthenticated
from splai.artifacts.keys import ClusterKeys
from splai.artifacts.server import server_folder
from tests.unit.artifacts.conftest import GATEWAY, OPERATOR, Cluster, claims, job_token, service_token, sign


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(cluster: Cluster, tmp_path: Path) -> ClusterKeys:
    keys = ClusterKeys(cluster.source(tmp_path).fetch, server_folder(MemoryStore()))
    await keys.start()
    return keys


@pytest.fixture
def authenticator(keys: ClusterKeys, clock: Clock) -> Authenticator:
    return Authenticator(keys, trusted=frozenset({OPERATOR}), readers=frozenset({GATEWAY}), now=clock)


async def test_identities(authenticator: Authenticator) -> None:
    two_jobs = sign(claims(["splai-artifacts/uid-1", "splai-artifacts/uid-2"]))
    assert await authenticator.authenticate(f"Bearer {two_jobs}") == JobPod("team-a", frozenset({"uid-1", "uid-2"}))
    assert await authenticator.authenticate(f"bearer {service_token()}") == Service(OPERATOR, writes=True)
    assert await authenticator.authenticate(f"Bearer {service_token(GATEWAY)}") == Service(GATEWAY, writes=False)


async def test_a_verified_token_is_not_verified_again(
    authenticator: Authenticator, keys: ClusterKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = f"Bearer {job_token()}"
    first = await authenticator.authenticate(header)
    monkeypatch.setattr(keys, "find", None)  # a second verification would fail
    assert await authenticator.authenticate(header) == first


async def test_a_remembered_token_is_forgotten_when_it_expires(
    authenticator: Authenticator, clock: Clock, keys: ClusterKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = f"Bearer {sign(claims('splai-artifacts/uid-1', exp=int(clock.now) - 10))}"
    await authenticator.authenticate(header)  # good within the leeway, and not remembered

    async def withdrawn(kid: str) -> None:
        return None

    monkeypatch.setattr(keys, "find", withdrawn)
    with pytest.raises(Unauthenticated, match="not signed by this cluster"):
        await authenticator.authenticate(header)


async def test_the_memory_of_tokens_is_bounded(authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "CACHED_TOKENS", 2)
    for uid in ("uid-1", "uid-2", "uid-3"):
        await authenticator.authenticate(f"Bearer {job_token(uid)}")
    assert len(authenticator._verified) == 2
