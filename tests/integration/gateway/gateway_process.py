"""The gateway as its pod would run it: a process with a kubeconfig, found by its port."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from local_cluster.ports import free_ports
from tests.integration.running_control_plane import RunningControlPlane

PATIENCE = 60.0


@dataclass(frozen=True)
class GatewayProcess:
    """One running ``splai gateway serve``."""

    process: asyncio.subprocess.Process
    port: int
    metrics_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self.process.returncode is None

    @property
    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024

    async def exit_code(self) -> int:
        """Of the process, once it has ended."""
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def answers(self, http: httpx.AsyncClient, model: str, *, status: int = 200) -> None:
        """Return when the gateway is there and says so of the model."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if (await http.get(f"{self.url}/v1/models/{model}")).status_code == status:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    async def serves(self, http: httpx.AsyncClient, model: str) -> None:
        """Return when a chat with the model is answered: then its backend and its pods are known."""
        chat = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        async with asyncio.timeout(PATIENCE):
            while True:
                if (await http.post(f"{self.url}/v1/chat/completions", json=chat)).status_code == 200:
                    return
                await asyncio.sleep(0.1)

    async def refuses(self) -> None:
        """Return when nobody listens any more."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except (ConnectionRefusedError, ConnectionResetError):  # reset: it closed while the client connected
                    return
                writer.close()
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running_process(
    control_plane: RunningControlPlane, namespace: str, log: Path
) -> AsyncIterator[GatewayProcess]:
    """A gateway that watches one namespace; what it says goes to ``log``."""
    port, metrics_port = free_ports(2)
    environment = os.environ | {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SPLAI_WATCH_NAMESPACES": namespace,
        "SPLAI_GATEWAY_PORT": str(port),
        "SPLAI_METRICS_PORT": str(metrics_port),
    }
    command = (sys.executable, "-c", "from splai.cli import main; main()", "gateway", "serve")
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=output, stderr=output)
    try:
        yield GatewayProcess(process, port, metrics_port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def own_address() -> str:
    """Of this machine, for the engine: an EndpointSlice may not hold a loopback address. No packet is sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
