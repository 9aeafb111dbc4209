"""Real LangGraph graphs, served unchanged by the command in an environment that has LangGraph, as a user's image."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

from local_cluster.errors import ClusterError
from local_cluster.ports import free_ports
from splai import __version__
from tests.integration.clients import environments

PROGRAMS = Path(__file__).parent / "programs"
OPERATOR = Path(__file__).parents[3] / "operator"
_PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="session")
def splai(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path for an interpreter that has not installed SPLAI: its source, and the metadata that pip would write."""
    installed = tmp_path_factory.mktemp("installed")
    (installed / "splai.dist-info").mkdir()
    (installed / "splai.dist-info" / "METADATA").write_text(f"Name: splai\nVersion: {__version__}\n")
    return f"{OPERATOR}:{installed}"


@pytest.fixture(scope="session")
def interpreter() -> Path:
    try:
        return environments.python("langgraph")
    except ClusterError as error:
        pytest.fail(f"no environment with LangGraph: {error}", pytrace=False)


def start(interpreter: Path, splai: str, attribute: str, port: int) -> subprocess.Popen[str]:
    command = [str(interpreter), "-c", "from splai.cli import main; main()", "workflow", "serve"]
    command += [f"graph_desk:{attribute}", "--model", "desk", "--code", str(PROGRAMS), "--port", str(port)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": splai}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def serve(interpreter: Path, splai: str) -> Iterator[Callable[[str], openai.OpenAI]]:
    """Serves a graph of the program and gives a client of it."""
    processes: list[subprocess.Popen[str]] = []
    clients: list[openai.OpenAI] = []

    def serve(attribute: str) -> openai.OpenAI:
        (port,) = free_ports(1)
        process = start(interpreter, splai, attribute, port)
        processes.append(process)
        assert process.stdout is not None
        first = process.stdout.readline()
        if "serving a workflow" not in first:
            _, errors = process.communicate(timeout=_PATIENCE_SECONDS)
            pytest.fail(f"the server did not start: {first}{errors}", pytrace=False)
        clients.append(openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", timeout=_PATIENCE_SECONDS))
        return clients[-1]

    yield serve
    for client in clients:
        client.close()
    for process in processes:
        process.kill()
        process.communicate()


def whole(client: openai.OpenAI, *messages: tuple[str, str]) -> str | None:
    answer = client.chat.completions.create(model="desk", messages=conversation(*messages))
    return answer.choices[0].message.content


def streamed(client: openai.OpenAI, *messages: tuple[str, str]) -> list[str]:
    stream = client.chat.completions.create(model="desk", messages=conversation(*messages), stream=True)
    return [chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content]


def conversation(*messages: tuple[str, str]) -> Any:
    return [{"role": role, "content": content} for role, content in messages]


def test_a_vague_question_gets_a_question_and_the_history_leads_past_it(
    serve: Callable[[str], openai.OpenAI],
) -> None:
    client = serve("desk")

    question = whole(client, ("user", "It does not work"))
    pieces = streamed(
        client, ("user", "It does not work"), ("assistant", str(question)), ("user", "The printer of room 3")
    )

    assert question == "Which device is it?"
    assert pieces == ["Restart ", "the printer."]


def test_messages_are_langchains_objects_too(serve: Callable[[str], openai.OpenAI]) -> None:
    client = serve("classes")

    said = whole(
        client, ("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("critic", "Too long."), ("user", "?")
    )

    assert said == "SystemMessage HumanMessage AIMessage ChatMessage HumanMessage"


def test_a_graph_that_fails_says_so_in_the_stream_and_with_500_in_a_whole_answer(
    serve: Callable[[str], openai.OpenAI],
) -> None:
    client = serve("failing")

    assert streamed(client, ("user", "hi")) == ["One moment. ", "Error processing request: no such ticket"]
    with pytest.raises(openai.InternalServerError, match="Error processing request: no such ticket"):
        whole(client, ("user", "hi"))


def test_a_caller_that_leaves_cancels_the_node(serve: Callable[[str], openai.OpenAI], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    stream = serve("endless").chat.completions.create(
        model="desk", messages=conversation(("user", str(mark))), stream=True
    )
    with closing(stream):
        next(iter(stream))

    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not mark.exists():
        assert time.monotonic() < deadline, "the node was not cancelled"
        time.sleep(0.05)


def test_a_graph_that_is_not_compiled_is_refused_with_what_to_do(interpreter: Path, splai: str) -> None:
    process = start(interpreter, splai, "uncompiled", free_ports(1)[0])

    _, errors = process.communicate(timeout=_PATIENCE_SECONDS)

    assert process.returncode == 1
    assert "graph_desk:uncompiled: the graph is not compiled" in errors


def test_without_langgraph_in_the_image_the_process_says_what_is_missing(splai: str) -> None:
    """This environment is the one of our own image: it has no LangGraph."""
    process = start(Path(sys.executable), splai, "desk", free_ports(1)[0])

    _, errors = process.communicate(timeout=_PATIENCE_SECONDS)

    assert process.returncode == 1
    assert "graph_desk imports langgraph, which the image does not have" in errors
