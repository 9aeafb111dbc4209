"""A workflow behind HTTP: its id, its result, and nothing that a log or an error should not hold."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from splai.resilience import CircuitOpen, UnknownRoute, WorkflowContext
from splai.resilience.application import MAX_BODY_BYTES, workflow_application
from splai.resilience.core import Step

Post = Callable[..., Awaitable[httpx.Response]]


async def answer(data: dict[str, Any], context: WorkflowContext) -> dict[str, Any]:
    return {"response": f"hi {data.get('name')}", "correlation_id": context.correlation_id}


def post(workflow: Step, **options: Any) -> Post:
    """Sends to a workflow's application and returns what it answers."""
    transport = httpx.ASGITransport(workflow_application(workflow, **options))

    async def send(content: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        async with httpx.AsyncClient(transport=transport, base_url="http://workflows") as client:
            return await client.post("/workflow", content=body, headers=headers)

    return send


def raising(error: BaseException) -> Step:
    async def fail(data: Any, context: WorkflowContext) -> None:
        raise error

    return fail


async def test_a_workflow_answers_with_an_id_of_its_own_and_its_result() -> None:
    reply = await post(answer)({"data": {"name": "ada"}})

    assert reply.status_code == 200
    assert set(reply.json()) == {"workflow_id", "result"}
    assert re.fullmatch(r"req-[0-9a-f-]{36}", reply.json()["workflow_id"])
    assert reply.json()["result"]["response"] == "hi ada"


async def test_two_runs_have_two_ids() -> None:
    one, other = [(await post(answer)({"data": {}})).json()["workflow_id"] for _ in range(2)]

    assert one != other


async def test_curls_content_type_is_no_obstacle() -> None:
    reply = await post(answer)({"data": {}}, {"Content-Type": "application/x-www-form-urlencoded"})

    assert reply.status_code == 200


async def test_the_result_carries_duration_and_cost() -> None:
    async def paid(data: Any, context: WorkflowContext) -> dict[str, Any]:
        context.add_cost(0.25)
        return {}

    result = (await post(paid)({"data": {}})).json()["result"]

    assert result["cost"] == 0.25
    assert result["duration_ms"] >= 0


async def test_the_correlation_id_comes_from_the_header_and_goes_everywhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    reply = await post(answer)({"data": {}}, {"X-Correlation-ID": "c-7"})

    assert reply.headers["X-Correlation-ID"] == "c-7"
    assert reply.json()["result"]["correlation_id"] == "c-7"
    assert [record.correlation_id for record in caplog.records if record.message == "workflow"] == ["c-7"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("headers", [{}, {"X-Correlation-ID": ""}, {"X-Correlation-ID": 'x" level="error'}])
async def test_where_there_is_none_to_use_the_workflow_id_correlates(headers: dict[str, str]) -> None:
    reply = await post(answer)({"data": {}}, headers)

    assert reply.headers["X-Correlation-ID"] == reply.json()["workflow_id"]


@pytest.mark.parametrize(
    ("body", "status", "message", "param"),
    [
        (b"", 400, "The body is not JSON", None),
        (b"{", 400, "The body is not JSON", None),
        (b"\xff", 400, "The body is not JSON", None),
        (b'{"data": {"x": NaN}}', 400, "The body is not JSON", None),
        (b"[" * 100_000, 400, "The body is not JSON", None),
        (b"[]", 422, "The body must be a JSON object", None),
        (b"{}", 422, "data is required", "data"),
        (b'{"data": "text"}', 422, "data must be a JSON object", "data"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "The body is larger than 8388608 bytes", None),
    ],
    ids=range(9),
)
async def test_a_bad_request_is_told_what_is_bad(body: bytes, status: int, message: str, param: str | None) -> None:
    reply = await post(answer)(body, {"X-Correlation-ID": "c-7"})

    assert reply.status_code == status
    assert reply.json() == {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": None},
        "detail": message,
    }
    assert reply.headers["X-Correlation-ID"] == "c-7"


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError("a prompt"), 500), (TimeoutError("a prompt"), 504), (CircuitOpen(12.3), 503)],
    ids=lambda value: type(value).__name__,
)
async def test_a_workflow_that_fails_has_a_status_and_tells_no_contents(
    error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    reply = await post(raising(error))({"data": {"text": "a prompt"}})

    assert reply.status_code == status
    assert reply.json()["error"]["message"] == reply.json()["detail"]
    assert "prompt" not in reply.text + caplog.text


async def test_an_open_breaker_says_when_to_come_back() -> None:
    assert (await post(raising(CircuitOpen(12.3)))({"data": {}})).headers["Retry-After"] == "13"


async def test_an_unknown_route_is_the_callers_mistake() -> None:
    reply = await post(raising(UnknownRoute("no route 'x'; there are openai")))({"data": {}})

    assert (reply.status_code, reply.json()["detail"]) == (400, "no route 'x'; there are openai")


async def test_a_result_that_is_no_json_is_a_failure_of_the_workflow() -> None:
    async def unspeakable(data: Any, context: WorkflowContext) -> Any:
        return {"response": object()}

    assert (await post(unspeakable)({"data": {}})).status_code == 500


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/workflow", 405), ("POST", "/other", 404)])
async def test_what_is_not_there_has_the_same_shape_of_error(method: str, path: str, status: int) -> None:
    transport = httpx.ASGITransport(workflow_application(answer))
    async with httpx.AsyncClient(transport=transport, base_url="http://workflows") as client:
        reply = await client.request(method, path)

    assert reply.status_code == status
    assert set(reply.json()) == {"error", "detail"}


async def test_a_slow_cleanup_does_not_delay_the_answer() -> None:
    answered, may_end, cleaned = asyncio.Event(), asyncio.Event(), []

    async def cleanup(context: WorkflowContext) -> None:
        await may_end.wait()
        cleaned.append(context.workflow_id)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"data": {}}'}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    scope = {"type": "http", "method": "POST", "path": "/workflow", "query_string": b"", "headers": []}
    serving = asyncio.ensure_future(workflow_application(answer, cleanup=cleanup)(scope, receive, send))
    await answered.wait()
    assert cleaned == []

    may_end.set()
    await serving
    assert len(cleaned) == 1


@pytest.mark.parametrize("workflow", [answer, raising(RuntimeError())])
async def test_cleanup_gets_the_context_of_the_run_however_it_ended(workflow: Step) -> None:
    cleaned: list[str | None] = []

    async def cleanup(context: WorkflowContext) -> None:
        cleaned.append(context.correlation_id)

    await post(workflow, cleanup=cleanup)({"data": {}}, {"X-Correlation-ID": "c-7"})

    assert cleaned == ["c-7"]


async def test_a_cleanup_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def cleanup(context: WorkflowContext) -> None:
        raise RuntimeError("a prompt")

    reply = await post(answer, cleanup=cleanup)({"data": {}})

    assert reply.status_code == 200
    assert "cleanup failed" in caplog.text
    assert "prompt" not in caplog.text
