"""Starlette, run over the server."""

import asyncio
from collections.abc import AsyncIterator

import h11
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from splai.gateway.http.asgi import asgi_handler
from splai.gateway.http.exchange import Handler
from tests.unit.gateway.http.conftest import PATIENCE, Start, until

HOST = b" HTTP/1.1\r\nHost: test\r\n"


async def about(request: Request) -> Response:
    body = await request.body()
    assert request.client is not None
    return JSONResponse(
        [
            request.method,
            request.path_params["name"],
            dict(request.query_params),
            body.decode(),
            request.client.host,
            request.scope["splai.request_id"],
        ],
        headers={"X-Own": "1"},
    )


async def counting(request: Request) -> Response:
    async def count() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number
        if "fail" in request.query_params:
            raise RuntimeError("in mid-stream")

    return StreamingResponse(count(), media_type="text/plain")


async def failing(request: Request) -> Response:
    raise RuntimeError("before the reply")


def application(*middleware: Middleware) -> Handler:
    routes = [
        Route("/about/{name}", about, methods=["GET", "POST"]),
        Route("/count", counting),
        Route("/fail", failing),
    ]
    return asgi_handler(Starlette(routes=routes, middleware=middleware))


async def test_the_application_gets_the_request_and_the_caller_its_reply(serving: Start) -> None:
    async with serving(application(), common_headers=b"x-common: 1\r\n") as running:
        caller = await running.caller()
        post = b"POST /about/a%20b?c=d" + HOST + b"X-Request-ID: id\r\nContent-Length: 4\r\n\r\nbody"
        reply = await caller.ask(post)

        assert reply.body == b'["POST","a b",{"c":"d"},"body","127.0.0.1","id"]'
        theirs, ours = {b"content-type", b"x-own"}, {b"date", b"openai-processing-ms", b"x-common", b"x-request-id"}
        assert sorted(name for name, _ in reply.headers) == sorted({b"content-length"} | theirs | ours)
        assert (await caller.ask(b"GET /about/x" + HOST + b"\r\n")).status == 200


async def test_head_has_the_length_of_what_get_would_bring(serving: Start) -> None:
    async with serving(application()) as running:
        caller = await running.caller()
        get = await caller.ask(b"GET /about/a" + HOST + b"X-Request-ID: id\r\n\r\n")
        head = await caller.ask(b"HEAD /about/a" + HOST + b"X-Request-ID: id\r\n\r\n", "HEAD")

        assert head.body == b""
        assert head.header(b"content-length") == b"%d" % (len(get.body) + len("HEAD") - len("GET"))
        assert (await caller.ask(b"HEAD /count" + HOST + b"\r\n", "HEAD")).body == b""
        assert (await caller.ask(b"GET /count" + HOST + b"\r\n")).body == b"012"


async def test_an_application_that_fails_in_mid_stream_shows_as_a_cut_reply(serving: Start) -> None:
    async with serving(application()) as running:
        caller = await running.caller()
        with pytest.raises(h11.RemoteProtocolError):
            await caller.ask(b"GET /count?fail" + HOST + b"\r\n")


async def test_an_application_that_fails_before_it_answers_gets_500(serving: Start) -> None:
    async def broken(scope: object, receive: object, send: object) -> None:
        raise RuntimeError("secret")

    async with serving(application()) as running, serving(asgi_handler(broken)) as worse:
        assert (await (await running.caller()).ask(b"GET /fail" + HOST + b"\r\n")).status == 500
        reply = await (await worse.caller()).ask(b"GET /" + HOST + b"\r\n")

    assert reply.body == b"500: Error processing request: internal error"


async def test_middleware_that_reads_the_request_itself_works(serving: Start) -> None:
    async def add(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["X-Seen"] = "1"
        return response

    async with serving(application(Middleware(BaseHTTPMiddleware, dispatch=add))) as running:
        caller = await running.caller()
        for _ in range(2):
            reply = await caller.ask(b"GET /count" + HOST + b"\r\n")
            assert (reply.header(b"x-seen"), reply.body) == (b"1", b"012")


async def test_a_caller_that_leaves_cancels_the_application(serving: Start) -> None:
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def endless(request: Request) -> Response:
        assert not await request.is_disconnected()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            outcome.set_result("cancelled")
            raise
        return PlainTextResponse()

    async with serving(asgi_handler(Starlette(routes=[Route("/", endless)]))) as running:
        caller = await running.caller()
        caller.send(b"GET /" + HOST + b"\r\n")
        await until(lambda: running.server.connections == 1)
        caller.writer.close()

        assert await asyncio.wait_for(outcome, PATIENCE) == "cancelled"
