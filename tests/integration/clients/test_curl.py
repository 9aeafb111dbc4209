"""curl as the guides print it: a body without a content type, and the stream as it appears on a terminal."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.integration.clients.recording_engine import ANSWER, WORDS, RecordingEngine


def curl(*arguments: str) -> bytes:
    program = shutil.which("curl")
    if program is None:
        pytest.fail("curl is missing; install it (Debian's package: curl)", pytrace=False)
    command = (program, "--silent", "--noproxy", "*", "--max-time", "60", *arguments)
    return subprocess.run(command, check=True, capture_output=True, timeout=90).stdout


def chat(model: str, prompt: str, **fields: object) -> str:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], **fields}, indent=2)


def test_the_ids_of_the_models(gateway: str) -> None:
    listed = json.loads(curl(f"{gateway}/v1/models"))

    assert {"llama3-8b-q4", "llama3.1:8b", "qwen-coder"} <= {model["id"] for model in listed["data"]}


@pytest.mark.parametrize(
    ("model", "prompt"),
    [("llama3.1:8b", "Say hello"), ("qwen-coder", "Write a Python function to reverse a string")],
)
def test_a_chat_in_what_curl_calls_a_form(gateway: str, engine: RecordingEngine, model: str, prompt: str) -> None:
    reply = json.loads(curl("-X", "POST", f"{gateway}/v1/chat/completions", "-d", chat(model, prompt)))

    assert reply["choices"][0]["message"]["content"] == ANSWER
    assert reply["model"] == model
    assert engine.received[0].body["messages"] == [{"role": "user", "content": prompt}]
    assert engine.received[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "content_type", ["Content-Type:", "Content-Type: text/plain", "Content-Type: application/json"]
)
def test_a_chat_whatever_the_content_type(gateway: str, content_type: str) -> None:
    body = chat("llama3.1:8b", "Say hello")

    reply = json.loads(curl("-H", content_type, f"{gateway}/v1/chat/completions", "-d", body))

    assert reply["choices"][0]["message"]["content"] == ANSWER


@pytest.mark.parametrize("model", ["llama3.1:8b", "torn:fetch"])
def test_a_stream_on_a_terminal(gateway: str, model: str) -> None:
    body = chat(model, "Count to 5", stream=True)

    shown = curl("-X", "POST", f"{gateway}/v1/chat/completions", "-d", body)

    assert b"\r" not in shown
    lines = [line for line in shown.split(b"\n") if line]
    assert all(line.startswith(b"data: ") for line in lines)
    assert lines[-1] == b"data: [DONE]"
    chunks: list[Any] = [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [text for chunk in chunks if (text := chunk["choices"][0]["delta"].get("content"))] == list(WORDS)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert shown.count(b"\n\n") == len(lines)


def test_an_error_on_a_terminal(gateway: str) -> None:
    body = chat("nobody", "Say hello")

    shown = curl("--write-out", "\n%{http_code}", f"{gateway}/v1/chat/completions", "-d", body)

    document, _, status = shown.rpartition(b"\n")
    assert status == b"404"
    assert json.loads(document)["error"]["code"] == "model_not_found"
