"""The script that starts Ollama's container, run with a program of the tests in the place of Ollama's."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from splai.engines.ollama import PORT, SCRIPT

FAKE = Path(__file__).with_name("fake_ollama.py")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Container:
    """The script on a folder and a port of its own, with `ollama` on its PATH."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str, failing: str = "", status: int = 200) -> subprocess.Popen[str]:
        script = SCRIPT.replace("/tmp/", f"{self.folder}/").replace(str(PORT), str(free_port()))
        environment = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "COMMANDS": str(self.folder / "commands"),
            "FAILING": failing,
            "STATUS": str(status),
        }
        process = subprocess.Popen(
            ["bash", "-c", script, "ollama", *arguments], env=environment, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    @property
    def gguf(self) -> str:
        return str(self.folder / "my model.gguf")

    @property
    def mark(self) -> Path:
        """What the startup probe waits for."""
        return self.folder / "loaded"

    @property
    def commands(self) -> list[str]:
        return (self.folder / "commands").read_text().splitlines()

    def until_loaded(self, process: subprocess.Popen[str]) -> None:
        while not self.mark.exists():
            assert process.poll() is None, "the script has ended"
            time.sleep(0.01)


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    (tmp_path / "ollama").symlink_to(FAKE)
    (tmp_path / "my model.gguf").touch()
    container = Container(tmp_path)
    yield container
    for process in container.processes:
        process.terminate()
        process.communicate(timeout=30)


def test_a_file_is_imported_named_and_loaded_before_the_mark(container: Container) -> None:
    container.until_loaded(container.start(container.gguf, "small", "gpt-4o-mini", "library/small:2"))

    assert container.commands == [
        "serve",
        f"create small -f {container.folder}/Modelfile",
        "cp small gpt-4o-mini",
        "cp small library/small:2",
        'POST /api/embed {"model": "small"}',
    ]
    assert (container.folder / "Modelfile").read_text() == f"FROM {container.gguf}\n"


def test_a_name_is_pulled_unless_an_earlier_container_of_the_pod_has(container: Container) -> None:
    container.until_loaded(container.start("smollm2:135m", "small", failing="show"))
    first = container.commands
    (container.folder / "commands").unlink()
    again = container.start("smollm2:135m", "small")
    container.mark.unlink(missing_ok=True)
    container.until_loaded(again)

    assert first[1:4] == ["show smollm2:135m", "pull smollm2:135m", "cp smollm2:135m small"]
    assert container.commands[1:3] == ["show smollm2:135m", "cp smollm2:135m small"]


def test_the_mark_of_an_earlier_container_goes_first(container: Container) -> None:
    container.mark.touch()

    process = container.start("smollm2:135m", "small", failing="serve")

    assert process.wait(timeout=30) != 0
    assert not container.mark.exists()


def test_a_signal_ends_the_server_in_its_own_way(container: Container) -> None:
    process = container.start(container.gguf, "small")
    container.until_loaded(process)

    process.terminate()

    assert process.wait(timeout=30) == 0
    assert container.commands[-1] == "ended"


@pytest.mark.parametrize(
    ("source", "failing"),
    [("qwen", "pull"), (__file__, "create"), ("qwen", "cp")],
)
def test_what_fails_is_said_and_ends_server_and_container(container: Container, source: str, failing: str) -> None:
    process = container.start(source, "small", failing=f"show {failing}")

    _, said = process.communicate(timeout=30)

    assert process.returncode == 1
    assert said.splitlines()[-2].startswith(f"failed: ollama {failing} ")
    assert said.splitlines()[-1] == f"Error: {failing} failed"
    assert container.commands[-1] == "ended"
    assert not container.mark.exists()


def test_a_model_that_does_not_load_is_said_and_ends_the_container(container: Container) -> None:
    process = container.start(container.gguf, "small", status=500)

    _, said = process.communicate(timeout=30)

    assert process.returncode == 1
    assert said.splitlines()[-2:] == ["failed: load small", '{"error":"the runner has terminated"}']
    assert not container.mark.exists()


def test_a_file_that_is_not_there_is_named(container: Container) -> None:
    process = container.start("/models/gone.gguf", "small")

    _, said = process.communicate(timeout=30)

    assert process.returncode == 1
    assert said.splitlines()[-1] == "there is no /models/gone.gguf"


def test_the_container_ends_with_its_server(container: Container) -> None:
    process = container.start(container.gguf, "small", failing="serve")

    _, said = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "Error: serve failed" in said
