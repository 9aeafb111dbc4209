"""Who may do what, against a real server: the table that keeps jobs and namespaces apart."""

import base64
import hashlib
import hmac
import json
import logging
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.unit.artifacts.conftest import (
    EC_KEY,
    FUTURE,
    GATEWAY,
    OPERATOR,
    OTHER_RSA_KEY,
    PAST,
    RSA_KEY,
    Server,
    claims,
    job_token,
    service_token,
    sign,
)

JOB = "splai-artifacts/uid-1"
PATH = "/team-a/uid-1/workers/w"


def unsigned(payload: dict[str, Any], header: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def signed_with_the_public_key() -> str:
    """The classic confusion: HS256 with the RSA public key as the secret."""
    public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = unsigned(claims(JOB), {"alg": "HS256", "kid": "rsa-1", "typ": "JWT"}).rpartition(".")[0]
    signature = base64.urlsafe_b64encode(hmac.new(public, text.encode(), hashlib.sha256).digest()).rstrip(b"=")
    return f"{text}.{signature.decode()}"


ACCEPTED = {
    "the job's own pod": sign(claims(JOB)),
    "signed with ES256": sign(claims(JOB), key=EC_KEY, algorithm="ES256", kid="ec-1"),
    "for several jobs": sign(claims(["splai-artifacts/uid-0", JOB])),
    "for other services too": sign(claims(["https://kubernetes.default.svc", JOB])),
    "the operator": service_token(OPERATOR),
}
REFUSED = {
    "another job": (sign(claims("splai-artifacts/uid-2")), 403),
    "another namespace": (sign(claims(JOB, "team-b")), 403),
    "a uid that only begins alike": (sign(claims("splai-artifacts/uid-11")), 403),
    "the service audience, not on the list": (sign(claims("splai-artifacts", "team-a", "default")), 403),
    "the operator's name in another namespace": (service_token("team-a/splai-operator"), 403),
    "the reading gateway": (service_token(GATEWAY), 403),
    "the apiserver's audience": (sign(claims("https://kubernetes.default.svc")), 401),
    "no audience": (sign({key: value for key, value in claims(JOB).items() if key != "aud"}), 401),
    "expired": (sign(claims(JOB, exp=PAST + 60)), 401),
    "no expiry": (sign({key: value for key, value in claims(JOB).items() if key != "exp"}), 401),
    "not valid yet": (sign(claims(JOB, nbf=FUTURE - 60)), 401),
    "another issuer": (sign(claims(JOB, iss="https://evil.example")), 401),
    "another cluster's key": (sign(claims(JOB), key=OTHER_RSA_KEY), 401),
    "no key named": (sign(claims(JOB), kid=None), 401),
    "RS512": (sign(claims(JOB), algorithm="RS512"), 401),
    "alg none": (unsigned(claims(JOB), {"alg": "none", "kid": "rsa-1"}), 401),
    "HS256 with the public key": (signed_with_the_public_key(), 401),
    "a changed payload": (
        ".".join([sign(claims(JOB)).split(".")[0], sign(claims(JOB, "team-b")).split(".")[1], "c2lnbmF0dXJl"]),
        401,
    ),
    "not a ServiceAccount": (sign(claims(JOB, sub="system:node:n1")), 401),
    "subject and claim disagree": (sign(claims(JOB, sub="system:serviceaccount:team-b:default")), 401),
    "no Kubernetes claim": (sign(claims(JOB) | {"kubernetes.io": None}), 401),
    "not a token": ("hello", 401),
    "too long": ("x" * 20_000, 400),
}  # fmt: skip


async def test_a_token_that_expired_within_the_leeway_is_accepted(server: Server) -> None:
    just_expired = sign(claims(JOB, exp=int(time.time()) - 5))

    async with server.http(just_expired) as http:
        assert (await http.put(PATH, content=b"x")).status_code == 200


@pytest.mark.parametrize("token", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_accepted_tokens_read_and_write(server: Server, token: str) -> None:
    async with server.http(token) as http:
        assert (await http.put(PATH, content=b"x")).status_code == 200
        assert (await http.get(PATH)).content == b"x"
        assert (await http.delete(PATH)).status_code == 405, "what the ledger holds stays until its folder goes"


@pytest.mark.parametrize(("token", "status"), REFUSED.values(), ids=REFUSED.keys())
async def test_refused_tokens_write_nothing(server: Server, token: str, status: int) -> None:
    async with server.http(token) as http:
        reply = await http.put(PATH, content=b"x")
    assert reply.status_code == status
    assert not (server.root / "team-a").exists()


async def test_no_token(server: Server) -> None:
    async with server.http("") as http:
        del http.headers["Authorization"]
        reply = await http.get(PATH)
        basic = await http.get(PATH, headers={"Authorization": "Basic dXNlcjpwYXNz"})
        empty = await http.get(PATH, headers={"Authorization": "Bearer"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthenticated")
    assert (basic.status_code, empty.status_code) == (401, 401)


async def test_the_gateway_reads_everything_and_writes_nothing(server: Server) -> None:
    async with server.http(service_token(OPERATOR)) as http:
        await http.put(PATH, content=b"x")
    async with server.http(service_token(GATEWAY)) as http:
        assert (await http.get(PATH)).content == b"x"
        assert (await http.get("/team-a/uid-1/")).status_code == 200
        assert (await http.get("/team-a/uid-1/progress")).status_code == 200
        for reply in (
            await http.put(PATH, content=b"y"),
            await http.delete("/team-a/uid-1/"),
        ):
            assert reply.status_code == 403
        assert (await http.get(PATH)).content == b"x"


async def test_a_job_may_not_remove_its_folder(server: Server) -> None:
    async with server.http(job_token()) as http:
        await http.put(PATH, content=b"x")
        assert (await http.delete("/team-a/uid-1/")).status_code == 403
        assert (await http.get(PATH)).content == b"x"


async def test_a_job_sees_nothing_of_another(server: Server) -> None:
    async with server.http(job_token("uid-2")) as http:
        for path in (PATH, "/team-a/uid-1/", "/team-a/uid-1/progress"):
            assert (await http.get(path)).status_code == 403
        assert (await http.head(PATH)).status_code == 403


async def test_tokens_reach_no_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="splai")
    tokens = [job_token(), *(token for token, _ in REFUSED.values() if token.count(".") == 2)]
    for token in tokens:
        async with server.http(token) as http:
            await http.get(PATH)
    assert not [token for token in tokens if token.split(".")[1] in caplog.text]
