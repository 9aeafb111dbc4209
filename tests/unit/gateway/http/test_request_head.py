"""A request's headers, read beside the parser that has checked them."""

import httptools
from hypothesis import given
from hypothesis import strategies as st

from splai.gateway.http.request_head import header_fields

Headers = list[tuple[bytes, bytes]]

PIECES = [
    b"a",
    b"B-c",
    b":",
    b": ",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n x",
    b"x: y\r\n",
    b"\0",
    b"\x7f",
    b"\xa0",
    b"\xff",
]


class Told:
    """What the parser tells of a head."""

    def __init__(self) -> None:
        self.headers: Headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))


def told(head: bytes) -> Headers | None:
    """None if the head is refused."""
    protocol = Told()
    try:
        httptools.HttpRequestParser(protocol).feed_data(head)
    except httptools.HttpParserError:
        return None
    return protocol.headers


@given(st.lists(st.sampled_from(PIECES), max_size=9).map(b"".join))
def test_headers_that_the_parser_accepts_are_read_as_it_reads_them(text: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + text + b"\r\n\r\n"
    head = head[: head.index(b"\r\n\r\n") + 4]

    expected = told(head)

    if expected is not None:
        headers, fields = header_fields(head[:-4].split(b"\r\n")[1:], http_1_0=False)
        assert headers == expected
        assert fields == dict(reversed(expected))
