"""`/v1/models`: every name that can be asked for, also while no replica of it is ready."""

from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from splai.gateway.errors import RequestError
from splai.gateway.routing.routes import Pool, RouteSource, RouteTable

NAMED_IN_ERRORS = 20


def find_pool(table: RouteTable, model: str) -> Pool:
    """The pool of a name; raises RequestError that says which names there are."""
    pool = table.find(model)
    if pool is None:
        message = f"The model '{model[:253]}' does not exist. {_existing(table)}"
        raise RequestError(404, message, param="model", code="model_not_found")
    return pool


def _existing(table: RouteTable) -> str:
    if not table.listed:
        return "There is no ModelBackend yet"
    names = ", ".join(table.listed[:NAMED_IN_ERRORS])
    more = len(table.listed) - NAMED_IN_ERRORS
    return f"Models: {names}" + (f" and {more} more" if more > 0 else "")


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
        return JSONResponse(_model(name, find_pool(self._routes.table, name)))


def _model_list(table: RouteTable) -> bytes:
    return orjson.dumps({"object": "list", "data": [_model(name, table.pools[name]) for name in table.listed]})


def _model(name: str, pool: Pool) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": pool.created, "owned_by": pool.namespace}
