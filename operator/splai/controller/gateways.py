"""Asks every pod of the gateway how many requests it has for each backend.

The pods are those of the gateway's Service in the operator's own namespace, by its EndpointSlices; the port is that of
their metrics. It is the one place where the operator calls something else than the apiserver and the artifact server.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
from pydantic import ValidationError

from splai.api.gateway_load import LOAD_PATH, GatewayLoad
from splai.core.modelbackend.gateways import Gateway, GatewayView
from splai.kube.client import Client
from splai.kube.errors import ApiError
from splai.kube.resource import ENDPOINT_SLICES
from splai.logs import origin

ANSWER_SECONDS = 2.0
LIST_SECONDS = 3.0
MOST_BYTES = 16 * 1024 * 1024
_PORT = "metrics"
_SERVICE_LABEL = "kubernetes.io/service-name"

_log = logging.getLogger(__name__)


class Gateways:
    """Keeps a view of them; ``look`` brings it up to date."""

    def __init__(self, client: Client, *, namespace: str, service: str, clock: Callable[[], float]) -> None:
        self.view = GatewayView()
        self._client = client
        self._namespace = namespace
        self._service = service
        self._clock = clock
        self._listed_at = float("-inf")
        self._session: aiohttp.ClientSession | None = None
        self._failing: frozenset[str] = frozenset()

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()

    async def look(self) -> None:
        """Ask all of them at once; who does not answer in time is silent."""
        await self._list()
        gateways = self.view.gateways
        answers = await asyncio.gather(*(self._ask(gateway) for gateway in gateways))
        found = {gateway.address: load for gateway, load in zip(gateways, answers, strict=True) if load is not None}
        self.view.heard(found, self._clock())
        failing = frozenset(gateway.name for gateway in gateways if gateway.address not in found)
        if new := failing - self._failing:
            _log.warning("gateways do not tell their load", extra={"gateways": sorted(new)})
        self._failing = failing

    async def _list(self) -> None:
        if self._clock() - self._listed_at < LIST_SECONDS:
            return
        try:
            page = await self._client.list(
                ENDPOINT_SLICES, self._namespace, selector=f"{_SERVICE_LABEL}={self._service}"
            )
        except ApiError as error:
            _log.warning("gateways cannot be listed", extra={"error": error.message})
            return
        self._listed_at = self._clock()
        self.view.listed(gateways_of(page.items), self._listed_at)

    async def _ask(self, gateway: Gateway) -> GatewayLoad | None:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.get(f"http://{gateway.address}{LOAD_PATH}", allow_redirects=False) as reply:
                if reply.status != 200 or reply.content_length is None or reply.content_length > MOST_BYTES:
                    return None
                return GatewayLoad.model_validate_json(await reply.read())
        except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
            _log.debug("gateway not heard", extra={"gateway": gateway.name, **origin(error)})
            return None


def gateways_of(slices: Sequence[Mapping[str, Any]]) -> list[Gateway]:
    """The pods in EndpointSlices (discovery.k8s.io/v1), those that are not ready too: they may end what they began.

    A Service of two address families lists each pod twice; one address is enough.
    """
    found: dict[str, Gateway] = {}
    for body in sorted(slices, key=lambda body: str(body["addressType"])):
        ports = [port["port"] for port in body.get("ports") or () if port.get("name") == _PORT and port.get("port")]
        for endpoint in body.get("endpoints") or () if ports else ():
            host = endpoint["addresses"][0]
            address = f"[{host}]:{ports[0]}" if ":" in host else f"{host}:{ports[0]}"
            name = (endpoint.get("targetRef") or {}).get("name") or address
            is_ready = (endpoint.get("conditions") or {}).get("ready") is not False  # the API says: unknown means ready
            found.setdefault(name, Gateway(address, name, is_ready))
    return list(found.values())
