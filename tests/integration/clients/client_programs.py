"""The client programs: which there are, how one is run, and what it saw."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_cluster.errors import ClusterError
from tests.integration.clients import environments
from tests.integration.clients.recording_engine import Received

PROGRAMS = Path(__file__).parent / "programs"
_PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class ClientRun:
    """One run of a program: its lines, and what reached the engine meanwhile."""

    lines: dict[str, dict[str, Any]]
    received: list[Received]

    def saw(self, check: str) -> dict[str, Any]:
        """What a check that ended well returned."""
        line = self.lines[check]
        if "saw" not in line:
            pytest.fail(f"{check} raised {line['raised']}", pytrace=False)
        saw: dict[str, Any] = line["saw"]
        return saw

    def raised(self, check: str) -> dict[str, Any]:
        """The exception that a check ended with."""
        line = self.lines[check]
        if "raised" not in line:
            pytest.fail(f"{check} raised nothing and saw {line['saw']}", pytrace=False)
        raised: dict[str, Any] = line["raised"]
        return raised

    def asked(self, text: str) -> list[Received]:
        """The chat requests whose last message of a user is this text."""
        return [request for request in self.received if _last_user_text(request.body) == text]

    def of_model(self, model: str) -> list[Received]:
        return [request for request in self.received if request.body["model"] == model]


def _last_user_text(body: dict[str, Any]) -> object:
    texts = [message["content"] for message in body.get("messages", []) if message["role"] == "user"]
    return texts[-1] if texts else None


def _python(environment: str, program: str) -> Callable[[Path], list[str]]:
    return lambda _: [str(environments.python(environment)), str(PROGRAMS / program)]


def _node(program: str) -> Callable[[Path], list[str]]:
    def command(project: Path) -> list[str]:
        """Node looks for libraries beside the program: the programs are copied into a project that has them."""
        (project / "node_modules").symlink_to(environments.node() / "node_modules")
        for source in PROGRAMS.glob("*.mjs"):
            (project / source.name).write_bytes(source.read_bytes())
        return [str(environments.node_program()), str(project / program)]

    return command


COMMANDS = {
    "openai-floor": _python("openai-floor", "openai_python.py"),
    "openai-newest": _python("openai-newest", "openai_python.py"),
    "openai-node": _node("openai_node.mjs"),
    "langchain-openai": _python("langchain-openai", "langchain_chat.py"),
    "llama-index": _python("llama-index", "llama_index_chat.py"),
    "litellm": _python("litellm", "litellm_chat.py"),
    "fetch": _node("fetch_reader.mjs"),
}
"""By the client's name, which is also what its own models are called after the colon."""


def run_program(client: str, gateway: str, project: Path) -> dict[str, dict[str, Any]]:
    """Run a client's program against the gateway's URL; gives its lines by the name of the check."""
    try:
        command = COMMANDS[client](project)
    except ClusterError as error:
        pytest.fail(f"no environment for {client}: {error}", pytrace=False)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project),
        "CLIENT": client,
        "GATEWAY": f"{gateway}/v1",
        "OPENAI_API_KEY": "any key will do",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # the one in the package, instead of a download
    }
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, cwd=project, timeout=_PATIENCE_SECONDS
    )
    if done.returncode != 0:
        pytest.fail(f"the program of {client} ended with {done.returncode}:\n{done.stderr[-4000:]}", pytrace=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"check"')]
    return {line["check"]: line for line in lines}
