"""The adapter as a process: what ends it at once, and what it takes over while it runs."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_cluster.ports import free_ports
from splai.adapter.server import check
from splai.adapter.settings import Settings
from tests.unit.adapter.conftest import MODEL, StartSite, running_provider
from tests.unit.adapter.fake_providers import FINAL, OPENAI
from tests.unit.gateway.scripted_engine import STREAM_HEAD, Connection, Received, answer

PROGRAM = [sys.executable, "-c", "from splai.cli import main; main()", "adapter", "serve"]
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}


def settings(**options: Any) -> Settings:
    given = {"provider": "OpenAICompatible", "served": ("m",), "base_url": "http://10.1.2.3", **options}
    return Settings(**given)


async def test_a_changed_key_is_used_without_a_restart(start: StartSite) -> None:
    async with start(answer({}, status=500)) as site, httpx.AsyncClient() as client:
        for key in ("first", "second"):
            site.key_file.write_text(key)
            await client.post(f"{site.url}/v1/chat/completions", json=CHAT)

    sent = [request.headers["authorization"] for request in site.provider.received]
    assert sent == ["Bearer first", "Bearer second"]


async def test_a_key_that_is_taken_away_is_told_to_callers(start: StartSite) -> None:
    async with start(answer({})) as site, httpx.AsyncClient() as client:
        site.key_file.unlink()
        reply = await client.post(f"{site.url}/v1/chat/completions", json=CHAT)

    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "provider_key_missing")
    assert site.provider.received == []


async def test_it_is_healthy_and_lists_its_models_without_asking_the_provider(start: StartSite) -> None:
    async with start(answer({}, status=500)) as site, httpx.AsyncClient() as client:
        health = await client.get(f"{site.url}/health")
        models = (await client.get(f"{site.url}/v1/models")).json()

    assert health.status_code == 200
    assert [model["id"] for model in models["data"]] == [MODEL, "weather-alias"]
    assert site.provider.received == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "http://169.254.169.254"}, "allowPrivateURLs"),
        ({"base_url": "http://localhost:9"}, "allowPrivateURLs"),
        ({"base_url": "http://[::1]:9/v1"}, "allowPrivateURLs"),
        ({"base_url": "http://:9"}, "not valid"),
        ({"base_url": None}, "needs a base URL"),
        ({"provider": "AzureOpenAI"}, "needs a deployment"),
        ({"api_key_file": Path("/no/such/file")}, "apiKeySecretRef names no key"),
    ],
)
def test_what_somebody_has_to_correct_is_said_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check(settings(**options))


@pytest.mark.parametrize("text", ["", " \n", "two\nlines", "schlüssel"])
def test_a_file_that_holds_no_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)

    with pytest.raises(ValueError, match="names no key"):
        check(settings(api_key_file=path))


@pytest.mark.parametrize("url", ["http://10.1.2.3", "http://127.0.0.1:1"])
def test_the_installation_may_allow_what_is_refused(url: str) -> None:
    check(settings(base_url=url, allow_private_urls=True))


def test_the_command_ends_with_the_words_for_the_pods_status() -> None:
    arguments = ["--provider=OpenAI", "--served=m", "--base-url=http://10.1.2.3", "--api-key-file=/no/such/file"]
    done = subprocess.run([*PROGRAM, *arguments], check=False, capture_output=True, text=True)

    assert done.returncode == 1
    assert "remote.apiKeySecretRef names no key" in done.stderr


async def test_asked_to_stop_it_lets_a_streamed_answer_come_to_its_end(key_file: Path) -> None:
    asked, stopping = asyncio.Event(), asyncio.Event()

    async def patient(_: Received, connection: Connection) -> None:
        first, *rest = OPENAI.events(True)
        await connection.send(STREAM_HEAD)
        await connection.chunk(first)
        asked.set()
        await stopping.wait()
        for event in (*rest, b""):
            await connection.chunk(event)

    async with running_provider(patient) as provider, httpx.AsyncClient(timeout=30) as client:
        (port,) = free_ports(1)  # of port 0 each address family would make another number
        arguments = ["--provider=OpenAICompatible", f"--served={MODEL}", f"--api-key-file={key_file}", f"--port={port}"]
        arguments += [f"--base-url=http://{provider.address}", "--allow-private-urls"]
        process = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["port"] == port

        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        reply = asyncio.create_task(client.post(url, json={**CHAT, "stream": True}))
        await asked.wait()
        process.terminate()
        assert json.loads(await process.stdout.readline())["message"] == "stopping"
        stopping.set()

        assert "".join(FINAL) in "".join(texts((await reply).text))
        assert await process.wait() == 0


def texts(stream: str) -> list[str]:
    """The pieces of text in a streamed answer that ended well."""
    *events, done = [line.removeprefix("data: ") for line in stream.split("\n\n") if line]
    assert done == "[DONE]"
    return [choice["delta"].get("content") or "" for event in events for choice in json.loads(event)["choices"]]
