"""`/v1/models`: every name that can be asked for, also while no replica of it is ready."""

from typing import Any

from aiohttp import web

from splai.gateway.routing.resolve import find_pool
from splai.gateway.routing.routes import AUTO, RouteSource, RouteTable


class Models:
    """The handlers of the two routes."""

    def __init__(self, routes: RouteSource) -> None:
        self._routes = routes

    async def list(self, _: web.Request) -> web.Response:
        table = self._routes.table
        return web.json_response({"object": "list", "data": [_model(table, name) for name in table.listed]})

    async def retrieve(self, request: web.Request) -> web.Response:
        return web.json_response(_model(self._routes.table, request.match_info["model"]))


def _model(table: RouteTable, name: str) -> dict[str, Any]:
    """Raises RequestError 404 for an unknown one."""
    if name == AUTO and AUTO in table.listed and AUTO not in table.pools:
        created = min(pool.created for pool in table.capabilities.values())
        return {"id": AUTO, "object": "model", "created": created, "owned_by": "splai"}
    pool = find_pool(table, name)
    return {"id": name, "object": "model", "created": pool.created, "owned_by": pool.namespace}
