"""``splai artifacts serve`` as the process that a pod runs, on a real bucket."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx

from local_cluster.ports import free_ports
from splai.artifacts.client import ArtifactClient
from tests.integration.minio import Minio
from tests.unit.artifacts.conftest import ISSUER, OPERATOR, Cluster, cluster, service_token

__all__ = ["cluster"]


async def serve(
    minio: Minio, bucket: str, cluster: Cluster, port: int, metrics_port: int
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from splai.artifacts.server import serve; serve()",
        env={
            "PATH": os.environ["PATH"],
            "SPLAI_ARTIFACT_BACKEND": "minio",
            "SPLAI_MINIO_ENDPOINT": minio.endpoint.removeprefix("http://"),
            "SPLAI_MINIO_ACCESS_KEY": minio.access_key,
            "SPLAI_MINIO_SECRET_KEY": minio.secret_key,
            "SPLAI_MINIO_BUCKET": bucket,
            "SPLAI_MINIO_USE_SSL": "false",
            "SPLAI_ARTIFACTS_PORT": str(port),
            "SPLAI_METRICS_PORT": str(metrics_port),
            "SPLAI_TRUSTED_SERVICE_ACCOUNTS": OPERATOR,
            "SPLAI_OIDC_ISSUER": ISSUER,
            "SPLAI_OIDC_JWKS_URI": f"{cluster.url}/openid/v1/jwks",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def until_ready(url: str) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=url, trust_env=False) as http:
        while True:
            try:
                if (await http.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


async def test_it_serves_what_an_earlier_one_stored_and_ends_cleanly(
    minio: Minio, cluster: Cluster, tmp_path: Path
) -> None:
    bucket, (port, metrics_port) = minio.make_bucket(), free_ports(2)
    (tmp_path / "token").write_text(service_token())
    seen: list[bytes | None] = []
    for _ in range(3):
        server = await serve(minio, bucket, cluster, port, metrics_port)
        try:
            await until_ready(f"http://127.0.0.1:{port}")
            async with ArtifactClient(f"http://127.0.0.1:{port}", tmp_path / "token") as client:
                folder = client.job("team-a", "uid-1")
                seen.append(await folder.get("final"))
                await folder.create("final", b"stored by the first")
        finally:
            server.send_signal(signal.SIGTERM)
            logs, _ = await server.communicate()
        assert server.returncode == 0, logs.decode()
        assert minio.secret_key.encode() not in logs
    assert seen == [None, b"stored by the first", b"stored by the first"]


async def test_a_backend_that_cannot_be_is_said_at_once() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from splai.artifacts.server import serve; serve()",
        env={"PATH": os.environ["PATH"], "SPLAI_ARTIFACT_BACKEND": "minio"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, words = await process.communicate()
    assert process.returncode == 1
    assert words.decode().strip() == "SPLAI_MINIO_ENDPOINT must be set for the backend minio"
