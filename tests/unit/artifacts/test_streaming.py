"""A hundred megabytes through a server process whose memory is watched."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from local_cluster.ports import free_ports
from splai.artifacts.client import ArtifactClient
from tests.unit.artifacts.conftest import ISSUER, Cluster, job_token

MIB = 1024 * 1024
SIZE = 100 * MIB


def resident_bytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_large_object_streams_in_bounded_memory_and_sigterm_ends_cleanly(
    cluster: Cluster, tmp_path: Path
) -> None:
    port, metrics_port = free_ports(2)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "SPLAI_ARTIFACTS_ROOT": str(tmp_path / "store"),
        "SPLAI_ARTIFACTS_PORT": str(port),
        "SPLAI_METRICS_PORT": str(metrics_port),
        "SPLAI_OIDC_ISSUER": ISSUER,
        "SPLAI_OIDC_JWKS_URI": f"{cluster.url}/openid/v1/jwks",
    }
    program = "from splai.artifacts.server import serve; serve()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        await wait_until_ready(f"http://127.0.0.1:{port}")
        (tmp_path / "token").write_text(job_token())
        before = resident_bytes(process.pid, "VmRSS")
        async with ArtifactClient(f"http://127.0.0.1:{port}", tmp_path / "token") as client:
            folder = client.job("team-a", "uid-1")
            await folder.put_stream("output.jsonl", megabytes())
            async with folder.relayed("GET", "output.jsonl", {}) as reply:
                assert sum([len(chunk) async for chunk in reply.chunks()]) == SIZE
        assert resident_bytes(process.pid, "VmHWM") - before < 60 * MIB
        async with httpx.AsyncClient(trust_env=False) as http:
            metrics = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
        assert "splai_artifacts_received_bytes_total 1.048576e+08\n" in metrics
    finally:
        process.terminate()
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert b"uid-1" not in output


async def megabytes() -> AsyncIterator[bytes]:
    for _ in range(SIZE // MIB):
        yield bytes(MIB)


async def wait_until_ready(url: str) -> None:
    async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                if (await http.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
