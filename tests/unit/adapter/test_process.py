"""The adapter as a process: what ends it at once, and what it takes over while it runs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from splai.adapter.server import check
from splai.adapter.settings import Settings
from tests.unit.adapter.conftest import MODEL, StartSite
from tests.unit.gateway.scripted_engine import answer

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
    arguments = ["adapter", "serve", "--provider=OpenAI", "--served=m", "--base-url=http://10.1.2.3"]
    program = "from splai.cli import main; main()"
    command = [sys.executable, "-c", program, *arguments, "--api-key-file=/no/such/file"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 1
    assert "remote.apiKeySecretRef names no key" in done.stderr
