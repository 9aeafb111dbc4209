"""The gateway benchmark's callers notice every reply that is not what the engine had said."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from benchmarks.gateway_traffic import Traffic
from local_cluster.ports import LOOPBACK


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return Traffic.build(tmp_path_factory.mktemp("gateway-mock"))


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server that says the same to everybody and hangs up."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while line := self.rfile.readline().strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.rfile.read(length)
            self.wfile.write(reply)

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
        server.shutdown()


def recorded(traffic: Traffic, *, stream: bool) -> bytes:
    """The body of the engine's own reply."""
    with traffic.engine(LOOPBACK) as engine:
        return httpx.post(f"{engine}/v1/chat/completions", json={"stream": stream}).content


def http(body: bytes, *, status: str = "200 OK", length: int | None = None) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def test_whole_replies_of_the_engine_over_kept_connections_are_right(traffic: Traffic) -> None:
    with traffic.engine(LOOPBACK) as engine:
        report = traffic.load(engine, requests=50, in_flight=4)

    assert (report.requests, report.failures, len(report.latencies)) == (50, {}, 50)


def test_streams_of_the_engine_have_64_chunks_and_an_end(traffic: Traffic) -> None:
    with traffic.engine(LOOPBACK) as engine:
        report = traffic.load(engine, requests=3, in_flight=2, stream=True)

    assert (report.failures, report.chunks) == ({}, 3 * 65)


def test_a_reply_that_is_right_is_right_from_any_server(traffic: Traffic) -> None:
    with answering(http(recorded(traffic, stream=False))) as server:
        assert traffic.load(server, requests=2).failures == {}
    with answering(http(recorded(traffic, stream=True))) as server:
        assert traffic.load(server, requests=2, stream=True).failures == {}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"token-63", b"token-6", "the reply has another text"),
        (b'"stop"', b'"length"', "the reply lacks its choice, its end or its usage"),
        (b'"usage"', b'"usages"', "the reply lacks its choice, its end or its usage"),
        (b"}", b"", "the reply is not JSON"),
    ],
)
def test_a_wrong_reply_is_counted(traffic: Traffic, old: bytes, new: bytes, why: str) -> None:
    wrong = recorded(traffic, stream=False).replace(old, new)

    with answering(http(wrong)) as server:
        assert traffic.load(server, requests=2).failures == {why: 2}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"data: [DONE]\n\n", b"", "the stream lacks [DONE]"),
        (b"data: [DONE]\n\n", b"data: [DONE]\n\ndata: {}\n\n", "the stream goes on after [DONE]"),
        (b'"stop"', b"null", "the stream lacks its finish reason"),
        (b"token-40", b"token-41", "the stream has another text"),
        (b'"delta":{"content"', b'"delta":{"content', "an event of the stream is not JSON"),
    ],
)
def test_a_wrong_stream_is_counted(traffic: Traffic, old: bytes, new: bytes, why: str) -> None:
    wrong = recorded(traffic, stream=True).replace(old, new)

    with answering(http(wrong)) as server:
        assert traffic.load(server, requests=2, stream=True).failures == {why: 2}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (http(b"{}", status="503 Service Unavailable"), "status 503"),
        (http(b"{}", length=100), "the connection broke in the reply"),
        (b"", "the connection broke before a reply"),
    ],
)
def test_a_reply_that_does_not_arrive_is_counted(traffic: Traffic, reply: bytes, why: str) -> None:
    with answering(reply) as server:
        report = traffic.load(server, requests=2)

    assert (report.failures, report.latencies) == ({why: 2}, [])
