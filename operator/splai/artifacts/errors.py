"""Every failure as one JSON answer: ``{"error": {"code", "message"}}``."""

import logging

from aiohttp import web

from splai.artifacts.auth import Forbidden, Unauthenticated
from splai.artifacts.folder import INSUFFICIENT_STORAGE, StoreUnavailable
from splai.artifacts.keys import KeysUnavailable
from splai.artifacts.ledger_reader import LedgerInvalid
from splai.logs import origin

_log = logging.getLogger(__name__)
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


class APIError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def answer(error: APIError) -> web.Response:
    return web.json_response({"error": {"code": error.code, "message": str(error)}}, status=error.status)


def as_api_error(error: Exception) -> APIError:
    """The answer to an exception; one that nobody expected is logged, and told to nobody."""
    match error:
        case APIError():
            return error
        case Unauthenticated():
            return APIError(401, "unauthenticated", str(error))
        case Forbidden():
            return APIError(403, "forbidden", str(error))
        case FileNotFoundError():
            return APIError(404, "not_found", "there is no such object")
        case LedgerInvalid():
            return APIError(422, "ledger_invalid", str(error))
        case KeysUnavailable():
            return APIError(503, "keys_unavailable", str(error))
        case StoreUnavailable():
            return APIError(507 if error.code == INSUFFICIENT_STORAGE else 503, error.code, str(error))
        case web.HTTPException():
            return APIError(error.status, _HTTP_CODES.get(error.status, "bad_request"), error.reason)
        case _:
            _log.error("a request failed", extra=origin(error))
            return APIError(500, "internal", "the artifact server failed")
