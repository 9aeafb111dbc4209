"""Who may call the gateway: everybody, or those who show the one bearer token that its operator has set."""

import hashlib
from hmac import compare_digest

from splai.gateway.errors import RequestError

OPEN_PATHS = frozenset(("/health", "/healthz", "/readyz"))
"""What probes ask; they have no token."""


class Authorization:
    """Checks requests against a token; an empty one lets everybody in."""

    def __init__(self, token: str = "") -> None:
        self._digest = _digest(token.encode()) if token else None
        self._usual = b"Bearer " + token.encode()

    def check(self, path: str, authorization: bytes | None) -> None:
        """Raises RequestError with status 401 (RFC 6750 §3)."""
        if self._digest is None or path in OPEN_PATHS:
            return
        if authorization is not None and compare_digest(authorization, self._usual):
            return
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not compare_digest(_digest(token.strip()), self._digest):
            message = "The request carries no bearer token" if not authorization else "The bearer token is not valid"
            raise RequestError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _digest(token: bytes) -> bytes:
    """Of one length whatever the token's is, so that comparing takes one time."""
    return hashlib.sha256(token).digest()
