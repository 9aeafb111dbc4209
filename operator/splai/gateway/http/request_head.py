"""What a request's head says, beyond what the parser (llhttp in its strict mode) has checked.

Rules are those of RFC 9112; where it leaves a choice between refusing and repairing, the request is refused.
"""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from splai.gateway.http.limits import Limits

CHUNKED = -1

_LISTED_ONCE = (b"host", b"content-length", b"transfer-encoding")


class RequestRefused(Exception):
    """The request cannot be served as HTTP; ``status`` and ``message`` are for the caller, the connection ends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def check_head_size(head: bytes, limits: Limits) -> None:
    if len(head) > limits.header_bytes:
        raise RequestRefused(431, "The request's head is too large")
    if head.count(b"\n") - 2 > limits.header_count:
        raise RequestRefused(431, "The request has too many headers")


class RequestLine(NamedTuple):
    """What the first line of a head asks for."""

    method: str
    raw_path: bytes
    path: str
    """With its percent escapes decoded; what is no UTF-8 becomes U+FFFD."""
    query_string: bytes
    http_1_0: bool


NO_REQUEST = RequestLine("", b"", "", b"", http_1_0=False)
"""In the place of one that was refused."""


@lru_cache(maxsize=64)  # callers ask for the same few paths again and again
def request_line(line: bytes) -> RequestLine:
    """Raises RequestRefused, with 505 for other versions than HTTP/1.1 and HTTP/1.0 (RFC 9112 §3)."""
    try:
        name, target, version = line.split(b" ")
        if version in (b"HTTP/1.1", b"HTTP/1.0"):
            method = name.decode("ascii")
            raw_path, query = split_target(method, target)
            return RequestLine(method, raw_path, decoded_path(raw_path), query, version == b"HTTP/1.0")
    except ValueError:
        version = b""
    if version.startswith(b"HTTP/"):
        raise RequestRefused(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    raise RequestRefused(400, "The request line is not that of HTTP/1.1")


def header_fields(lines: list[bytes], http_1_0: bool) -> tuple[list[tuple[bytes, bytes]], dict[bytes, bytes]]:
    """All headers of a head that the parser has found to be well-formed, and the first value of each.

    Names are in lower case. Raises RequestRefused if what frames or addresses the request is ambiguous.
    """
    headers: list[tuple[bytes, bytes]] = []
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        headers.append((name, value))
        fields[name] = value
    if not http_1_0 and b"host" not in fields:
        raise RequestRefused(400, "The request has no host header")
    if len(fields) == len(headers):
        return headers, fields
    for name in _LISTED_ONCE:
        if sum(name == header for header, _ in headers) > 1:
            raise RequestRefused(400, f"The header {name.decode()} is there more than once")
    return headers, dict(reversed(headers))


def split_target(method: str, target: bytes) -> tuple[bytes, bytes]:
    """Raw path and query of a target in origin, absolute or asterisk form (RFC 9112 §3.2)."""
    if not target.startswith(b"/"):
        target = _origin_form(method, target)
    if b"#" in target:
        raise RequestRefused(400, "The request target has a fragment")
    path, _, query = target.partition(b"?")
    return path, query


def decoded_path(raw_path: bytes) -> str:
    path = raw_path.decode("ascii", "replace")
    return unquote(path) if "%" in path else path


def body_length(fields: dict[bytes, bytes], limits: Limits, http_1_0: bool) -> int:
    """Bytes, or CHUNKED. The parser has refused what is no number, and both headers together (RFC 9112 §6)."""
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        length = int(fields.get(b"content-length", b"0"))
        if length > limits.body_bytes:
            raise body_too_large(limits)
        return length
    if http_1_0:
        raise RequestRefused(400, "The request has a transfer-encoding, which HTTP/1.0 has not")
    if coding.lower() != b"chunked":
        raise RequestRefused(501, "The only transfer-encoding understood is chunked")
    return CHUNKED


def body_too_large(limits: Limits) -> RequestRefused:
    return RequestRefused(413, f"The request body is larger than {limits.body_bytes} bytes")


def expects_continue(fields: dict[bytes, bytes], http_1_0: bool) -> bool:
    """Whether the caller waits for a word before it sends its body (RFC 9110 §10.1.1)."""
    expected = fields.get(b"expect")
    return expected is not None and not http_1_0 and expected.lower() == b"100-continue"


def _origin_form(method: str, target: bytes) -> bytes:
    if target == b"*" and method == "OPTIONS":
        return target
    if method == "CONNECT":
        raise RequestRefused(405, "This is no proxy")
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise RequestRefused(400, "The request target is neither a path nor a URL")
    host_end = min((at for at in map(rest.find, (b"/", b"?", b"#")) if at >= 0), default=len(rest))
    if host_end == 0:
        raise RequestRefused(400, "The request target names no host")
    path = rest[host_end:]
    return path if path.startswith(b"/") else b"/" + path
