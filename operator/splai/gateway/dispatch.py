"""Who answers a request: the relay for the APIs that end at an engine, the endpoints for everything else."""

from collections.abc import Coroutine
from typing import Any, Final

from splai.gateway.authorization import Authorization
from splai.gateway.errors import RequestError
from splai.gateway.http.exchange import Exchange, Handler
from splai.gateway.inference.relay import Relay
from splai.gateway.paths import APIS, HOT_PATHS, PREFIXES

_API_AT: Final = {prefix + path: api for prefix in PREFIXES for path, api in zip(HOT_PATHS, APIS, strict=True)}


def dispatcher(authorization: Authorization, relay: Relay, endpoints: Handler) -> Handler:
    """The handler of all requests that reach the gateway."""

    def handle(exchange: Exchange) -> Coroutine[Any, Any, None]:
        if exchange.method != "OPTIONS":  # a browser asks what it may send before it sends a credential
            try:
                authorization.check(exchange.path, exchange.header(b"authorization"))
            except RequestError as error:
                return _refuse(exchange, error)
        api = _API_AT.get(exchange.path) if exchange.method == "POST" else None
        return endpoints(exchange) if api is None else relay.serve(exchange, api)

    return handle


async def _refuse(exchange: Exchange, error: RequestError) -> None:
    exchange.reply(error.status, error.header_pairs(), error.body())
