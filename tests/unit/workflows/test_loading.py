"""From the words of ``spec.workflow.callable`` to a workflow, and what is said where there is none."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from local_cluster.ports import free_ports
from splai.workflows import server
from splai.workflows.loading import WorkflowInvalid, load
from splai.workflows.workflow import texts

GENERATOR = """
from .state import create_initial_state

async def answer(state):
    yield state["greeting"]
"""
STATE = 'def create_initial_state():\n    return {"greeting": "Hello"}\n'


def package(folder: Path, **modules: str) -> Path:
    """A package ``desk_under_test`` as a ConfigMap makes one: files in a folder, without an __init__.py."""
    (folder / "desk_under_test").mkdir()
    for name, source in modules.items():
        (folder / "desk_under_test" / f"{name}.py").write_text(source)
    return folder


async def test_a_generator_function_of_a_package_is_served_with_its_modules_initial_state(tmp_path: Path) -> None:
    code = package(tmp_path, workflow=GENERATOR, state=STATE)

    loaded = load("desk_under_test.workflow:answer", code)

    said = [text async for text in texts(loaded.workflow, loaded.create_initial_state())]
    assert said == ["Hello"]


def test_without_an_initial_state_of_its_own_a_run_begins_with_an_empty_one(tmp_path: Path) -> None:
    code = package(tmp_path, workflow="async def answer(state):\n    yield ''\n")

    assert load("desk_under_test.workflow:answer", code).create_initial_state() == {}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("async def other(state):\n    yield ''", "the module has no answer"),
        ("def answer(state):\n    return ''", "must be an async generator function or a compiled LangGraph graph"),
        ("async def answer(state):\n    return ''", "must be an async generator function or a compiled LangGraph"),
        ("class answer:\n    def astream(self): ...", "not a class"),
        ("async def answer():\n    yield ''", "must take one argument, the state"),
        ("class Graph:\n    def compile(self): ...\nanswer = Graph()", r"serve what its compile\(\) returns"),
        ("import no_such_package_at_all", "imports no_such_package_at_all, which the image does not have"),
        ("x = 1\nraise ValueError('swordfish')", r"ValueError while it was imported, workflow\.py, line 2"),
        ("def answer(:", r"invalid syntax \(workflow\.py, line 1\)"),
        ("create_initial_state = 1\nasync def answer(state):\n    yield ''", "create_initial_state of its module"),
    ],
)
def test_what_cannot_be_served_is_said_without_the_words_of_the_program(
    tmp_path: Path, source: str, words: str
) -> None:
    code = package(tmp_path, workflow=source)

    with pytest.raises(WorkflowInvalid, match=words) as raised:
        load("desk_under_test.workflow:answer", code)

    assert "swordfish" not in str(raised.value)


def test_a_missing_module_is_looked_for_in_the_config_map(tmp_path: Path) -> None:
    with pytest.raises(WorkflowInvalid, match=r"spec\.workflow\.configMap a file workflow\.py, nor the image"):
        load("desk_under_test.workflow:answer", package(tmp_path))


def test_without_a_config_map_it_is_the_image_that_has_no_such_module() -> None:
    with pytest.raises(WorkflowInvalid, match="the image has no such module"):
        load("desk_under_test.workflow:answer")


def test_the_process_ends_with_the_reason_where_the_kubelet_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TERMINATION_LOG", tmp_path / "termination-log")
    monkeypatch.setattr(server, "configure_logging", lambda *_, **__: None)

    with pytest.raises(SystemExit) as ended:
        server.serve("desk_under_test:answer", ["desk"], code=tmp_path, port=0)

    assert (tmp_path / "termination-log").read_text() == ended.value.code
    assert "desk_under_test: neither has the ConfigMap" in str(ended.value.code)


def test_the_command_serves_a_folder_under_the_model_and_its_aliases_until_it_is_told_to_stop(tmp_path: Path) -> None:
    code = package(tmp_path, workflow=GENERATOR, state=STATE)
    (port,) = free_ports(1)
    command = [sys.executable, "-c", "from splai.cli import main; main()", "workflow", "serve"]
    command += ["desk_under_test.workflow:answer", "--model", "desk", "--alias", "gpt-4o-mini", "--code", str(code)]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    try:
        first_line = json.loads(process.stdout.readline())
        request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
        reply = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=request, trust_env=False)
        process.send_signal(signal.SIGTERM)
        code_at_end = process.wait(30)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()

    assert first_line["models"] == ["desk", "gpt-4o-mini"]
    assert reply.json()["choices"][0]["message"]["content"] == "Hello"
    assert code_at_end == 0
