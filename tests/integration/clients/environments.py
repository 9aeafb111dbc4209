"""The environments of the client libraries: one for each, as each of their users would have it, and none of ours.

``environments/NAME.lock`` pins and hashes what a Python environment holds, ``environments/node/package-lock.json``
what Node's does, Node itself included. An environment lies in the cache under a name that covers its lock; it is
made once and is never changed: whoever changes a lock gets a new one.

``python -m tests.integration.clients.environments`` makes those that are missing; so does the first test that needs
one.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local_cluster import command, paths
from local_cluster.build import lock
from local_cluster.errors import ClusterError
from local_cluster.progress import step

SOURCES = Path(__file__).parent / "environments"
PYTHON_ENVIRONMENTS = tuple(sorted(path.stem for path in SOURCES.glob("*.lock")))
NODE = "node"


def python(name: str) -> Path:
    """The interpreter of a Python environment; raises ClusterError with what pip said when it cannot be made."""
    requirements = SOURCES / f"{name}.lock"

    def build(folder: Path) -> None:
        command.run(sys.executable, "-m", "venv", folder)
        pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        command.run(*pip, "--no-compile", "--require-hashes", "--requirement", requirements)

    key = _key(requirements.read_bytes(), sys.version.encode(), platform.machine().encode())
    return _environment(name, key, build) / "bin" / "python"


def node() -> Path:
    """The folder that holds Node's ``node_modules``; raises ClusterError with what npm said when it cannot be made."""
    files = (SOURCES / NODE / "package.json", SOURCES / NODE / "package-lock.json")

    def build(folder: Path) -> None:
        if shutil.which("npm") is None:
            raise ClusterError("npm is missing: it brings openai-node for the tests. Install Node.js 20 or newer.")
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        command.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", directory=folder)

    return _environment(NODE, _key(*(file.read_bytes() for file in files), platform.machine().encode()), build)


def node_program() -> Path:
    """The Node.js that openai-node asks for, whatever this machine has."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    program = node() / "node_modules" / f"node-{platform.system().lower()}-{machine}" / "bin" / "node"
    if not program.exists():
        raise ClusterError(
            f"{SOURCES / NODE / 'package.json'} has no Node.js for this machine: {program.parent.parent}"
        )
    return program


def _environment(name: str, key: str, build: Callable[[Path], None]) -> Path:
    folder = paths.cache() / "clients" / f"{name}-{key}"
    finished = folder / "finished"  # a virtual environment names its own path: it cannot be renamed when it is complete
    if finished.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.with_suffix(".lock"), f"the environment {name}"):
        if not finished.exists():  # else another process has made it while this one waited
            with step(
                f"installing the client environment {name}", "not in the cache yet; 20 CPU-seconds at the first time"
            ):
                command.with_one_retry(f"installing {name}", lambda: _build_anew(folder, build))
            finished.touch()
    return folder


def _build_anew(folder: Path, build: Callable[[Path], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # left by a build that failed or was killed: the lock is ours
    build(folder)


def _key(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def main() -> int:
    """Make what is missing, two at a time: an installation waits for the network as often as for the processor."""
    builds = [node, *(lambda name=name: python(name) for name in PYTHON_ENVIRONMENTS)]
    with ThreadPoolExecutor(2) as executor:
        results = [executor.submit(build) for build in builds]
    failures = [str(error) for result in results if (error := result.exception()) is not None]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)  # noqa: T201 - for the person who ran it
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
