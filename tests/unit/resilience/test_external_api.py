"""An API is called with a key that nobody else sees."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from splai.resilience import RetryPrimitive, TimeoutPrimitive, WorkflowContext
from splai.resilience.core import as_primitive
from splai.resilience.external_api import call_api, with_api_key


class Api:
    """A server that answers what it is told and keeps what it was sent."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, bytes]] = []
        self.requests: list[tuple[dict[str, str], Any]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, reply = api.replies.pop(0) if api.replies else (200, b'{"ok": true}')
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/call"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


def data(api: Api) -> dict[str, Any]:
    return {"api_url": api.url, "payload": {"question": "why"}, "api_key": "sk-1"}


async def test_an_api_gets_the_bearer_token_and_the_correlation_id(api: Api) -> None:
    result = await call_api(data(api), WorkflowContext("w-1", correlation_id="c-7"))

    ((headers, body),) = api.requests
    assert result == {"ok": True}
    assert (headers["authorization"], headers["x-correlation-id"]) == ("Bearer sk-1", "c-7")
    assert body == {"question": "why"}


async def test_without_a_correlation_id_no_header_is_made_up(api: Api) -> None:
    await call_api(data(api), WorkflowContext("w-1"))

    assert "x-correlation-id" not in api.requests[0][0]


@pytest.mark.parametrize("status", [302, 400, 500])
async def test_a_status_that_is_no_success_is_an_error(api: Api, status: int) -> None:
    api.replies = [(status, b"{}")]

    with pytest.raises(httpx.HTTPStatusError):
        await call_api(data(api), WorkflowContext("w-1"))


async def test_what_is_missing_in_data_is_named() -> None:
    with pytest.raises(ValueError, match="call_api needs api_url, api_key in its data"):
        await call_api({"payload": {}}, WorkflowContext("w-1"))


async def test_a_resilient_call_gets_over_a_server_that_fails_and_one_that_answers_no_json(api: Api) -> None:
    api.replies = [(503, b"{}"), (200, b"<html>")]
    resilient = TimeoutPrimitive(
        primitive=RetryPrimitive(primitive=call_api, max_retries=3, initial_seconds=0), timeout_seconds=30.0
    )

    assert await resilient.execute(data(api), WorkflowContext("w-1")) == {"ok": True}
    assert len(api.requests) == 3


@pytest.mark.parametrize("value", [None, ""])
async def test_a_missing_key_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)

    @with_api_key("OPENAI_API_KEY")
    async def call_openai(data: Any, context: WorkflowContext) -> None:
        pytest.fail("called without a key")

    with pytest.raises(ValueError, match=r"^Missing API key: OPENAI_API_KEY$"):
        await call_openai({}, WorkflowContext("w-1"))


async def test_the_key_goes_into_the_steps_data_and_not_into_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    seen: list[dict[str, Any]] = []

    @with_api_key("OPENAI_API_KEY")
    async def call_openai(data: Any, context: WorkflowContext) -> str:
        seen.append(data)
        return "answer"

    callers: dict[str, Any] = {"query": "why"}
    assert await as_primitive(call_openai).execute(callers, WorkflowContext("w-1")) == "answer"

    assert callers == {"query": "why"}
    assert seen[0]["api_key"] == "sk-secret"
    assert f"Bearer {seen[0]['api_key']}" == "Bearer sk-secret"
    assert "sk-secret" not in repr(seen)
    assert call_openai.__name__ == "call_openai"


async def test_a_decorated_call_of_an_api_sends_the_key(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", "sk-secret")

    await with_api_key("SERVICE_KEY")(call_api)({"api_url": api.url, "payload": {}}, WorkflowContext("w-1"))

    assert api.requests[0][0]["authorization"] == "Bearer sk-secret"
