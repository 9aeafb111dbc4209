"""A cluster that issues tokens and publishes its keys, and a real artifact server that believes it."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from obstore.store import LocalStore, ObjectStore

from splai.artifacts.auth import Authenticator
from splai.artifacts.client import ArtifactClient, HTTPJobFolder
from splai.artifacts.disk import Space
from splai.artifacts.keys import ClusterKeys, ClusterKeySource
from splai.artifacts.metrics import Metrics
from splai.artifacts.server import build_app, server_folder
from splai.serving import listening

ISSUER = "https://kubernetes.default.svc.cluster.local"
OPERATOR = "splai-system/splai-operator"
GATEWAY = "splai-system/splai-gateway"
PAST, FUTURE = 1_700_000_000, 4_000_000_000  # 2023 and 2096: the verdict on a token is the same on every day
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def rsa_jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return public | {"kid": kid, "alg": "RS256", "use": "sig"}


def ec_jwk(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(key.public_key()))
    return public | {"kid": kid, "alg": "ES256", "use": "sig"}


def claims(
    audience: str | list[str], namespace: str = "team-a", account: str = "default", **other: Any
) -> dict[str, Any]:
    """What the apiserver puts into a projected token."""
    return {
        "iss": ISSUER,
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "aud": [audience] if isinstance(audience, str) else audience,
        "iat": PAST,
        "nbf": PAST,
        "exp": FUTURE,
        "kubernetes.io": {
            "namespace": namespace,
            "pod": {"name": "triage-0-0-x", "uid": "7b0c"},
            "serviceaccount": {"name": account, "uid": "11aa"},
        },
    } | other


def sign(payload: dict[str, Any], *, key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "rsa-1") -> str:
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def job_token(uid: str = "uid-1", namespace: str = "team-a") -> str:
    return sign(claims(f"splai-artifacts/{uid}", namespace))


def service_token(account: str = OPERATOR) -> str:
    namespace, _, name = account.partition("/")
    return sign(claims("splai-artifacts", namespace, name))


@dataclass
class Cluster:
    """The discovery endpoints of an apiserver; ``up`` and ``keys`` may change while it runs."""

    url: str = ""
    up: bool = True
    keys: list[dict[str, Any]] = field(default_factory=lambda: [rsa_jwk(RSA_KEY, "rsa-1"), ec_jwk(EC_KEY, "ec-1")])
    requests: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, request.headers.get("Authorization", "")))
        if not self.up:
            return web.Response(status=503)
        if request.path == "/openid/v1/jwks":
            if "application/jwk-set+json" not in request.headers.get("Accept", ""):
                return web.Response(status=406)  # as the apiserver does
            return web.json_response({"keys": self.keys})
        return web.json_response({"issuer": ISSUER, "jwks_uri": "https://10.0.0.1:6443/openid/v1/jwks"})

    def source(self, directory: Path) -> ClusterKeySource:
        (directory / "token").write_text("pod-token\n")
        return ClusterKeySource(kubernetes_url=self.url, service_account=directory)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    app = web.Application()
    app.add_routes([web.get("/{path:.*}", cluster.answer)])
    async with listening(app, 0, "127.0.0.1", shutdown_seconds=5) as port:
        cluster.url = f"http://127.0.0.1:{port}"
        yield cluster


@dataclass
class Server:
    """A running artifact server, and what its test may turn."""

    url: str
    root: Path
    metrics: Metrics
    token_file: Path
    space: Space = field(default_factory=lambda: Space(used=50, free=50))

    def http(self, token: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"}
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused, and without reading the CA certificates each time
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, verify=verify, trust_env=False)

    def client(self, token: str, *, deadline: float = 10) -> ArtifactClient:
        self.token_file.write_text(token)
        return ArtifactClient(self.url, self.token_file, deadline=deadline)


@asynccontextmanager
async def running_server(
    cluster: Cluster, directory: Path, root: Path, store: ObjectStore | None = None
) -> AsyncIterator[Server]:
    store = store or LocalStore(root, mkdir=True)
    running: Server
    metrics = Metrics(lambda: running.space)
    running = Server(url="", root=root, metrics=metrics, token_file=directory / "artifacts-token")
    keys = ClusterKeys(cluster.source(directory).fetch, server_folder(store))
    authenticator = Authenticator(keys, trusted=frozenset({OPERATOR}), readers=frozenset({GATEWAY}))
    app = build_app(store, keys, authenticator, metrics, lambda: running.space)
    async with listening(app, 0, "127.0.0.1", shutdown_seconds=5) as port:
        running.url = f"http://127.0.0.1:{port}"
        yield running


@pytest.fixture
async def server(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_server(cluster, tmp_path, tmp_path / "store") as server:
        yield server


@pytest.fixture
async def folder(server: Server) -> AsyncIterator[HTTPJobFolder]:
    """The folder of team-a/uid-1 as a pod of that job sees it."""
    async with server.client(job_token()) as client:
        yield client.job("team-a", "uid-1")
