"""`/v1/models`: every name that can be asked for, also while no replica of it is ready."""

from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from splai.gateway.routing.resolve import find_pool
from splai.gateway.routing.routes import AUTO, RouteSource, RouteTable


class Models:
    """The handlers of the two routes."""

    def __init__(self, routes: RouteSource) -> None:
        self._routes = routes
        self._shown = RouteTable()
        self._list = _model_list(self._shown)

    async def list(self, _: Request) -> Response:
        """All names; written once for each table, because a thousand of them take a millisecond."""
        table = self._routes.table
        if table is not self._shown:
            self._list = _model_list(table)
            self._shown = table
        return Response(self._list, media_type="application/json")

    async def retrieve(self, request: Request) -> Response:
        """One of them, aliases and ``namespace/name`` included."""
        name = request.path_params["model"]
        if not name:
            raise HTTPException(404)
        return JSONResponse(_model(self._routes.table, name))


def _model_list(table: RouteTable) -> bytes:
    return orjson.dumps({"object": "list", "data": [_model(table, name) for name in table.listed]})


def _model(table: RouteTable, name: str) -> dict[str, Any]:
    """Raises RequestError 404 for an unknown one."""
    if name == AUTO and AUTO in table.listed and AUTO not in table.pools:
        created = min(pool.created for pool in table.capabilities.values())
        return {"id": AUTO, "object": "model", "created": created, "owned_by": "splai"}
    pool = find_pool(table, name)
    return {"id": name, "object": "model", "created": pool.created, "owned_by": pool.namespace}
