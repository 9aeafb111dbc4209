"""Which headers cross the gateway, in either direction. Names are lower-case."""

from collections.abc import Collection, Iterable, Sequence

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding"
    b" upgrade".split()
)
# Set anew for the engine, or none of its business: the caller's credential is for the gateway, never for a pod.
_NOT_FORWARDED = _HOP_BY_HOP | frozenset(
    b"accept-encoding authorization content-encoding content-length content-type cookie expect host origin"
    b" x-request-id".split()
)
_OURS = b"content-type: application/json\r\naccept-encoding: identity\r\n"
_NOT_FORWARDED_TRACED = _NOT_FORWARDED | {b"traceparent"}
# Set anew for the caller: length and coding are those of our bytes, the time includes ours, CORS is our policy.
_SET = b"content-encoding content-length date openai-processing-ms openai-version server set-cookie x-request-id"
_NOT_RETURNED = _HOP_BY_HOP | frozenset(_SET.split())


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """As they stand in a head."""
    pieces: list[bytes] = []
    for name, value in headers:
        pieces += (name, b": ", value, b"\r\n")
    return b"".join(pieces)


def forwarded(headers: Sequence[tuple[bytes, bytes]], request_id: str, traceparent: bytes | None = None) -> bytes:
    """Header lines of the request to the engine; identity coding, because replies are changed on their bytes.

    A ``traceparent`` of ours takes the place of the caller's, which else goes on as it is.
    """
    dropped = _NOT_FORWARDED if traceparent is None else _NOT_FORWARDED_TRACED
    lines = header_lines(_without(headers, dropped))
    if traceparent is not None:
        lines += b"traceparent: %b\r\n" % traceparent
    return b"".join((lines, _OURS, b"x-request-id: ", request_id.encode(), b"\r\n"))


def returned(headers: Sequence[tuple[bytes, bytes]], own: Collection[bytes] = ()) -> list[tuple[bytes, bytes]]:
    """The headers of an engine's reply for the caller, but for the gateway's ``own`` and for CORS."""
    kept = _without(headers, _NOT_RETURNED)
    return [it for it in kept if it[0] not in own and not it[0].startswith(b"access-control-")]


def _without(headers: Sequence[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """Also without those that a Connection header declares to be for the next hop alone."""
    kept, options = [], b""
    for header in headers:
        if header[0] not in dropped:
            kept.append(header)
        elif header[0] == b"connection":
            options += header[1] + b","
    if not options:
        return kept
    hop = [option.strip() for option in options.lower().split(b",")]
    return [header for header in kept if header[0] not in hop]
