"""The cluster's keys: fetched, followed, and kept for when the apiserver is away."""

from pathlib import Path

import httpx
import pytest
from obstore.store import LocalStore

from splai.artifacts.keys import ClusterKeys, ClusterKeySource, KeysUnavailable
from splai.artifacts.server import server_folder
from tests.unit.artifacts.conftest import (
    EC_KEY,
    ISSUER,
    OTHER_RSA_KEY,
    RSA_KEY,
    Cluster,
    claims,
    ec_jwk,
    rsa_jwk,
    running_server,
    sign,
)

NEW_TOKEN = sign(claims("splai-artifacts/uid-1"), key=OTHER_RSA_KEY, kid="rsa-2")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cluster_keys(cluster: Cluster, directory: Path, clock: Clock) -> ClusterKeys:
    folder = server_folder(LocalStore(directory / "store", mkdir=True))
    return ClusterKeys(cluster.source(directory).fetch, folder, clock=clock)


async def test_keys_and_issuer_are_discovered_with_the_pods_token(
    cluster: Cluster, tmp_path: Path, clock: Clock
) -> None:
    keys = cluster_keys(cluster, tmp_path, clock)
    await keys.start()
    assert (keys.loaded, keys.issuer) == (True, ISSUER)
    assert cluster.requests == [
        ("/.well-known/openid-configuration", "Bearer pod-token"),
        ("/openid/v1/jwks", "Bearer pod-token"),
    ]


async def test_another_issuers_host_never_sees_the_pods_token(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pod-token")
    source = ClusterKeySource(issuer=ISSUER, jwks_uri=f"{cluster.url}/openid/v1/jwks", service_account=tmp_path)
    assert (await source.fetch()).issuer == ISSUER
    assert cluster.requests == [("/openid/v1/jwks", "")]


async def test_an_unknown_key_is_looked_up_at_most_every_30_seconds(
    cluster: Cluster, tmp_path: Path, clock: Clock
) -> None:
    keys = cluster_keys(cluster, tmp_path, clock)
    await keys.start()
    with pytest.raises(KeysUnavailable, match="not known yet"):
        await keys.find("rsa-2")
    cluster.keys.append(rsa_jwk(OTHER_RSA_KEY, "rsa-2"))
    clock.now += 30
    assert await keys.find("rsa-2") is not None
    clock.now += 30
    assert await keys.find("rsa-3") is None
    assert len(cluster.requests) == 6


async def test_known_keys_serve_while_the_apiserver_is_down(cluster: Cluster, tmp_path: Path, clock: Clock) -> None:
    await cluster_keys(cluster, tmp_path, clock).start()
    cluster.up = False
    restarted = cluster_keys(cluster, tmp_path, clock)
    await restarted.start()
    assert restarted.issuer == ISSUER
    assert await restarted.find("rsa-1") is not None
    clock.now += 30
    with pytest.raises(KeysUnavailable, match="cannot be read"):
        await restarted.find("rsa-2")
    assert restarted.loaded


async def test_a_withdrawn_key_is_dropped_at_the_next_refresh(cluster: Cluster, tmp_path: Path, clock: Clock) -> None:
    keys = cluster_keys(cluster, tmp_path, clock)
    await keys.start()
    cluster.keys = [ec_jwk(EC_KEY, "ec-1")]
    assert await keys.refresh()
    clock.now += 30
    assert await keys.find("rsa-1") is None


@pytest.mark.parametrize(
    "jwk",
    [rsa_jwk(RSA_KEY, "rsa-1") | {"alg": "RS512"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "h", "alg": "HS256"}, {}],
)
async def test_a_key_set_without_a_usable_key_replaces_nothing(
    cluster: Cluster, tmp_path: Path, clock: Clock, jwk: dict[str, str]
) -> None:
    keys = cluster_keys(cluster, tmp_path, clock)
    await keys.start()
    cluster.keys = [jwk]
    assert not await keys.refresh()
    assert await keys.find("rsa-1") is not None


async def test_a_spoiled_copy_is_as_none(cluster: Cluster, tmp_path: Path, clock: Clock) -> None:
    cluster.up = False
    keys = cluster_keys(cluster, tmp_path, clock)
    (tmp_path / "store/_server/state").mkdir(parents=True)
    (tmp_path / "store/_server/state/keys.json").write_text("{")
    await keys.start()
    assert not keys.loaded


async def test_without_keys_the_server_is_alive_and_not_ready(cluster: Cluster, tmp_path: Path) -> None:
    cluster.up = False
    async with running_server(cluster, tmp_path, tmp_path / "store") as server:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/readyz")).status_code == 503
        async with server.http(NEW_TOKEN) as http:
            reply = await http.get("/team-a/uid-1/plan.json")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "keys_unavailable")


async def test_a_server_that_restarts_without_apiserver_serves_its_jobs(cluster: Cluster, tmp_path: Path) -> None:
    token = sign(claims("splai-artifacts/uid-1"))
    async with running_server(cluster, tmp_path, tmp_path / "store") as server, server.client(token) as client:
        await client.job("team-a", "uid-1").put("workers/w", b"1")
    cluster.up = False
    async with running_server(cluster, tmp_path, tmp_path / "store") as server, server.client(token) as client:
        assert await client.job("team-a", "uid-1").get("workers/w") == b"1"
