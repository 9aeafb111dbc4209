"""`splai model fetch` as a process: its arguments are those of the pods, and it may be killed at any time."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from splai.api.storage import S3Endpoint
from splai.cli import main
from splai.engines.weights import Fetch
from splai.weights import command
from splai.weights.remote import Order
from tests.unit.inputs.file_server import FileServer, Reply, Request, file_server

SPLAI = (sys.executable, "-c", "from splai.cli import main; main()")


def test_the_command_takes_the_arguments_of_the_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Order, Path]] = []
    monkeypatch.setattr(command, "run", lambda order, folder: asked.append((order, folder)))
    s3 = S3Endpoint(endpoint="http://minio:9000", region="eu-1")
    fetch = Fetch("fetch-model", "s3://bucket/m.gguf", "/fetched/abc", "m.gguf", "0" * 64, s3)

    result = CliRunner().invoke(main, fetch.arguments)

    assert result.exit_code == 0, result.output
    order = Order(source="s3://bucket/m.gguf", file="m.gguf", sha256="0" * 64, s3=s3)
    assert asked == [(order, Path("/fetched/abc"))]


class SlowHub:
    """Has two files; nobody gets the second one before the gate is open."""

    def __init__(self) -> None:
        self.files = {"a.safetensors": b"first" * 1000, "b.safetensors": b"second" * 1000}
        self.gate = threading.Event()
        self.second_is_asked_for = threading.Event()
        self.served: list[str] = []

    def answer(self, request: Request) -> Reply:
        path = request.path.partition("?")[0]
        if "/tree/" in path:
            return Reply(200, json.dumps([self._entry(*file) for file in self.files.items()]).encode())
        name = path.rpartition("/")[2]
        self.served.append(name)
        if name == "b.safetensors":
            self.second_is_asked_for.set()
            self.gate.wait(30)
        return Reply(200, self.files[name])

    @staticmethod
    def _entry(path: str, content: bytes) -> dict[str, Any]:
        lfs = {"oid": hashlib.sha256(content).hexdigest()}
        return {"type": "file", "path": path, "size": len(content), "oid": "o", "lfs": lfs}


@pytest.fixture
def web() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


def start(web: FileServer, folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HF_ENDPOINT": web.url, "SPLAI_ALLOW_PRIVATE_URLS": "true"}
    return subprocess.Popen([*SPLAI, "model", "fetch", "hf://team/model", str(folder)], env=environment)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_a_killed_fetch_is_never_taken_for_a_whole_one_and_the_next_goes_on(
    web: FileServer, tmp_path: Path, number: int, code: int
) -> None:
    hub = SlowHub()
    web.answer = hub.answer
    folder = tmp_path / "weights"

    killed = start(web, folder)
    assert hub.second_is_asked_for.wait(30)
    killed.send_signal(number)
    assert killed.wait(30) == code
    assert not folder.exists()

    hub.gate.set()
    assert start(web, folder).wait(30) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == hub.files
    assert hub.served == ["a.safetensors", "b.safetensors", "b.safetensors"]


def test_of_two_pods_on_one_volume_one_fetches(web: FileServer, tmp_path: Path) -> None:
    hub = SlowHub()
    web.answer = hub.answer
    folder = tmp_path / "weights"

    first = start(web, folder)
    assert hub.second_is_asked_for.wait(30)
    second = start(web, folder)
    hub.gate.set()

    assert [first.wait(30), second.wait(30)] == [0, 0]
    assert hub.served == ["a.safetensors", "b.safetensors"]
