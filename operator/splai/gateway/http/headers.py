"""Which headers cross the gateway, in either direction."""

from collections.abc import Iterable, Mapping

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Set anew for the engine, or none of its business: the caller's credential is for the gateway, never for a pod.
_NOT_FORWARDED = _HOP_BY_HOP | {
    "accept-encoding",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "origin",
    "x-request-id",
}
# Set anew for the caller: length and coding are those of our bytes, CORS is our policy.
_NOT_RETURNED = _HOP_BY_HOP | {
    "content-encoding",
    "content-length",
    "date",
    "server",
    "set-cookie",
    "x-request-id",
}


def forwarded(headers: Mapping[str, str], request_id: str) -> dict[str, str]:
    """The headers of the request to the engine; identity coding, because replies are changed on their bytes."""
    kept = _without(headers, _NOT_FORWARDED)
    return kept | {"Content-Type": "application/json", "Accept-Encoding": "identity", "X-Request-ID": request_id}


def returned(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an engine's reply for the caller."""
    kept = _without(headers, _NOT_RETURNED)
    return {name: value for name, value in kept.items() if not name.lower().startswith("access-control-")}


def _without(headers: Mapping[str, str], dropped: frozenset[str]) -> dict[str, str]:
    named = _connection_options(headers.get("Connection"))
    return {name: value for name, value in headers.items() if (low := name.lower()) not in dropped and low not in named}


def _connection_options(connection: str | None) -> Iterable[str]:
    """Headers that a Connection header declares to be for the next hop alone."""
    if connection is None:
        return ()
    return {option.strip().lower() for option in connection.split(",")}
