"""Whatever bytes come, in whatever pieces: the server understands them as h11 does, or refuses them.

Where it refuses what h11 accepts, it does so by one of the rules in ``STRICTER``. Nothing that h11 refuses is served,
except for empty lines before a request, which RFC 9112 §2.2 wants ignored.
"""

import asyncio
import re
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urlsplit

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from splai.gateway.http.exchange import Exchange
from splai.gateway.http.limits import Limits
from splai.gateway.http.server_connection import ServerConnection
from splai.gateway.http.service import Service
from tests.unit.gateway.http.conftest import MemoryTransport, error_body

STRICTER = re.compile(
    b"Invalid method encountered"  # h11 takes any token
    b"|Only HTTP/1.1 and HTTP/1.0"  # and any version
    b"|not that of HTTP/1.1|Missing expected|Invalid header (token|value char|field char)"  # LF for CRLF, controls
    b"|Unexpected whitespace after header value"  # obs-fold
    b"|can't be present with|Duplicate Content-Length|Invalid character in Content-Length"  # framing that says it twice
    b"|has a transfer-encoding|host is there more than once"  # HTTP/1.0
    b"|chunk size|chunk ext"
    b"|Invalid char in url|in url|has a fragment|neither a path nor a URL|names no host|This is no proxy"
    b"|Content-Length overflow"
)


@dataclass(frozen=True)
class Understood:
    method: bytes
    target: tuple[bytes, bytes]
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass
class Recorder:
    """The handler."""

    understood: list[Understood] = field(default_factory=list)

    async def __call__(self, exchange: Exchange) -> None:
        body = await exchange.body()
        target = exchange.raw_path, exchange.query_string
        self.understood.append(Understood(exchange.method.encode(), target, canonical(exchange.headers), body))
        exchange.reply(200, [], b"")


async def understood_by_server(pieces: list[bytes]) -> tuple[list[Understood], bytes]:
    """The requests that were served, and all that was sent."""
    recorder = Recorder()
    service = Service(recorder, Limits(), error_body)
    connection = ServerConnection(service)
    transport = MemoryTransport(connection)
    connection.connection_made(transport)
    for piece in pieces:
        if not transport.is_closing():
            connection.data_received(piece)
        for _ in range(2):
            await asyncio.sleep(0)
    for _ in range(12):
        await asyncio.sleep(0)
    if not transport.is_closing() and not connection.eof_received():
        transport.close()
    for _ in range(4):
        await asyncio.sleep(0)
    assert not service.connections
    return recorder.understood, transport.written


def understood_by_h11(data: bytes) -> list[Understood]:
    """A connection of h11's for each request, because it does not ignore empty lines between two (RFC 9112 §2.2)."""
    understood: list[Understood] = []
    while data := data.lstrip(b"\r\n"):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(data)
        connection.receive_data(b"")
        try:
            request = connection.next_event()
            if not isinstance(request, h11.Request):
                break
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
        except h11.RemoteProtocolError:
            break
        if not isinstance(event, h11.EndOfMessage):
            break
        target, headers = target_parts(request.target), canonical(list(request.headers))
        understood.append(Understood(request.method, target, headers, body))
        connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
        connection.send(h11.EndOfMessage())
        if connection.our_state is h11.MUST_CLOSE:
            break
        data = connection.trailing_data[0]
    return understood


def target_parts(target: bytes) -> tuple[bytes, bytes]:
    if target.startswith(b"/") or b"://" not in target:
        path, _, query = target.partition(b"?")
        return path, query
    parts = urlsplit(target)
    return parts.path or b"/", parts.query


def canonical(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """h11 writes some values anew; whether they mean the same is what the body shows."""
    framing = (b"transfer-encoding", b"content-length")
    return tuple((name, b"" if name in framing else value) for name, value in headers)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"GET", b"POST", b"POST", b"HEAD", b"OPTIONS", b"DELETE", b"BREW"]))
    target = draw(st.sampled_from([b"/", b"/v1/models", b"/a%20b?c=d", b"*", b"http://test/x?y", b"/?", b"/a#b"]))
    version = draw(st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/1.0", b"HTTP/2.0"]))
    lines = draw(
        st.lists(
            st.sampled_from(
                [
                    b"X-A: b",
                    b"X-A:\t c \t",
                    b"x-b:",
                    b"X-C: \xff\xe9",
                    b"Connection: close",
                    b"Connection: keep-alive",
                    b"Connection: Upgrade\r\nUpgrade: h2c",
                    b"Expect: 100-continue",
                    b"X-Folded: a\r\n b",
                    b"Content-Length: 3",
                    b"Transfer-Encoding: chunked",
                    b"Host: other",
                ]
            ),
            max_size=4,
        )
    )
    if draw(st.integers(0, 9)):
        lines.insert(draw(st.integers(0, len(lines))), b"Host: test")
    body = draw(
        st.binary(max_size=20) | st.sampled_from([b"", b"\r\n\r\n", b"a\r\n\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
    )
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: Chunked")
        cut = draw(st.integers(0, len(body)))
        extension = draw(st.sampled_from([b"", b";a=b", b';a="b c"', b" "]))
        chunks = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in (body[:cut], body[cut:]) if part]
        trailer = draw(st.sampled_from([b"", b"", b"X-Trailer: 1\r\n"]))
        body = b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"
    else:
        body = b""
    return b"\r\n".join([b"%b %b %b" % (method, target, version), *lines, b"", body])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(data)))
        insert = draw(
            st.sampled_from(
                [b"", b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"1", b"\x7f", b"\xff"]
            )
        )
        data = data[:at] + insert + data[at + draw(st.integers(0, 2)) :]
    return data


@settings(max_examples=200, derandomize=True, deadline=None)
@given(data=mutated(), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_the_server_understands_what_h11_does_or_refuses(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(edges)]

    served, sent = asyncio.run(understood_by_server(pieces))
    expected = understood_by_h11(data)

    assert served == expected[: len(served)]
    if len(served) < len(expected):
        refused = expected[len(served)]
        assert re.match(b"4|5", sent.rpartition(b"\r\nHTTP/1.1 ")[2].removeprefix(b"HTTP/1.1 ")), sent
        assert STRICTER.search(sent) or refused.method == b"HEAD", (sent, refused)


def test_the_pieces_in_which_requests_come_change_nothing() -> None:
    data = (
        b"POST /a?b HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nX-Trailer: 1\r\n\r\n"
        b"\r\nPOST /c HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n\r\n\r\n"
        b"GET / HTTP/1.0\r\n\r\n"
    )
    expected = understood_by_h11(data)
    cuts = [[data[:cut], data[cut:]] for cut in range(1, len(data))]

    for pieces in ([data], [bytes((byte,)) for byte in data], *cuts):
        assert asyncio.run(understood_by_server(pieces))[0] == expected
    assert len(expected) == 3
