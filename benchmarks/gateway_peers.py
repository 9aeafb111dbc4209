"""Other gateways in front of the same engine: LiteLLM and SGLang's router, each in a virtual environment of its own.

Their settings leave out what ours does not do either: no database, no callbacks, no retries beyond the default, one
process. What they find on the network at their start (prices of models) they take from their package.
"""

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gateway_site import Server
from benchmarks.gateway_traffic import MODEL
from local_cluster import build, paths
from local_cluster.ports import LOOPBACK, free_ports

LITELLM_CONFIGURATION = """\
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "{engine}/v1", api_key: none}}
litellm_settings: {{telemetry: false}}
"""


@dataclass(frozen=True)
class Peer:
    """A gateway from a package registry."""

    name: str
    requirement: str
    command: Callable[[Path, Path, str, int], list[str]]
    """(folder with the environment's programs, a folder for its files, the engine's URL, port) → words"""
    environment: dict[str, str] = field(default_factory=dict)
    token: str = ""

    @contextmanager
    def running(self, directory: Path, engine: str) -> Iterator[Server]:
        """Install it when the cache lacks it, and serve on loopback; its log goes to stderr when it fails."""
        programs = self.install()
        (port,) = free_ports(1)
        words = self.command(programs, directory, engine, port)
        environment = os.environ | self.environment | {"NO_PROXY": "*"}  # all that it asks is on this machine
        log_file = directory / f"{self.name}.log"
        with (
            log_file.open("wb") as log,
            subprocess.Popen(words, env=environment, stdout=log, stderr=log) as process,
        ):
            try:
                yield Server(f"http://{LOOPBACK}:{port}", process, self.token)
            finally:
                if process.poll() is not None:
                    sys.stderr.buffer.write(log_file.read_bytes()[-5000:])
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()

    def install(self) -> Path:
        """The folder with its programs, in the cache of expensive things; exits when pip cannot install it."""
        key = hashlib.sha256(f"{self.requirement} {sys.version}".encode()).hexdigest()[:16]
        home = paths.cache() / "benchmarks" / f"{self.name}-{key}"
        home.parent.mkdir(parents=True, exist_ok=True)
        complete = home / "complete"
        with build.lock(home.with_suffix(".lock"), self.name):
            if not complete.exists():
                shutil.rmtree(home, ignore_errors=True)
                self._install_into(home)
                complete.touch()
        return home / "bin"

    def _install_into(self, home: Path) -> None:
        print(f"installing {self.requirement} into {home}", flush=True)
        started = time.monotonic()
        venv.create(home, with_pip=True)
        words = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", self.requirement]
        if subprocess.run(words, check=False).returncode != 0:
            sys.exit(f"pip could not install {self.requirement} (see above); --skip-peers measures without the peers")
        size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file() and not file.is_symlink())
        print(f"  {size / 2**20:.0f} MB in {time.monotonic() - started:.0f} s", flush=True)


def _litellm(programs: Path, directory: Path, engine: str, port: int) -> list[str]:
    configuration = directory / "litellm.yaml"
    configuration.write_text(LITELLM_CONFIGURATION.format(model=MODEL, engine=engine))
    words = [str(programs / "litellm"), "--config", str(configuration), "--host", LOOPBACK, "--port", str(port)]
    return [*words, "--num_workers", "1"]


def _sglang_router(programs: Path, _: Path, engine: str, port: int) -> list[str]:
    (metrics_port,) = free_ports(1)
    words = [str(programs / "python"), "-m", "sglang_router.launch_router", "--backend", "openai"]
    words += ["--worker-urls", engine, "--host", LOOPBACK, "--port", str(port), "--log-level", "warn"]
    return [*words, "--prometheus-host", LOOPBACK, "--prometheus-port", str(metrics_port)]


_LITELLM_KEY = "sk-" + secrets.token_hex(32)

LITELLM = Peer(
    "litellm",
    "litellm[proxy]==1.104.5",
    _litellm,
    {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": _LITELLM_KEY,  # it does not start without one
    },
    token=_LITELLM_KEY,
)
SGLANG_ROUTER = Peer("router", "sglang-router==0.3.2", _sglang_router)
