"""The cluster's public keys, with which the tokens of ServiceAccounts are verified offline.

They come from the apiserver's discovery endpoints, which every ServiceAccount may read, and the last good ones are
kept in the store: the server starts and serves while the apiserver is down. A token that was signed with a key we
do not know yet leads to a refresh, at most every 30 s.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final as Constant

import httpx
from jwt import InvalidKeyError, PyJWK, PyJWKError

from splai.api.base import APIModel
from splai.artifacts.folder import StoreUnavailable
from splai.artifacts.store_folder import StoreFolder

KUBERNETES_URL: Constant = "https://kubernetes.default.svc"
SERVICE_ACCOUNT: Constant = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ALGORITHMS: Constant = ("RS256", "ES256")
REFRESH_AFTER: Constant = 300.0
RETRY_AFTER: Constant = 5.0
AT_MOST_EVERY: Constant = 30.0
SAVED: Constant = "keys.json"
_log = logging.getLogger(__name__)


class KeyDocument(APIModel):
    """What is fetched, and kept."""

    issuer: str
    jwks: dict[str, Any]


class KeysUnavailable(Exception):
    """Whether the token is good cannot be said now."""


@dataclass(frozen=True, slots=True)
class ClusterKeySource:
    """Where the keys are. The pod's own token goes to the apiserver only, never to another issuer's host."""

    issuer: str | None = None
    jwks_uri: str | None = None
    kubernetes_url: str = KUBERNETES_URL
    service_account: Path = SERVICE_ACCOUNT

    async def fetch(self) -> KeyDocument:
        """The issuer and its keys; raises httpx.HTTPError, OSError, and ValueError or KeyError for nonsense."""
        issuer = self.issuer or (await self._get(f"{self.kubernetes_url}/.well-known/openid-configuration"))["issuer"]
        return KeyDocument(
            issuer=issuer, jwks=await self._get(self.jwks_uri or f"{self.kubernetes_url}/openid/v1/jwks")
        )

    async def _get(self, url: str) -> dict[str, Any]:
        verify: ssl.SSLContext | bool = True
        # The apiserver refuses to give its keys as plain application/json.
        headers = {"Accept": "application/jwk-set+json, application/json"}
        if url.startswith(f"{self.kubernetes_url}/"):
            headers["Authorization"] = f"Bearer {(self.service_account / 'token').read_text().strip()}"
            authority = self.service_account / "ca.crt"
            verify = ssl.create_default_context(cafile=str(authority)) if authority.exists() else True
        async with httpx.AsyncClient(verify=verify, timeout=10, trust_env=False) as http:
            reply = await http.get(url, headers=headers)
        reply.raise_for_status()
        document: dict[str, Any] = reply.json()
        return document


class ClusterKeys:
    """The keys as they are known now."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[KeyDocument]],
        saved: StoreFolder,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._saved = saved
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._tried_at = float("-inf")
        self.issuer = ""

    @property
    def loaded(self) -> bool:
        return bool(self._keys)

    async def start(self) -> None:
        """Fetch the keys, or else take the ones that were good last."""
        if await self.refresh():
            return
        if (data := await self._saved.get(SAVED)) is None:
            return
        try:
            self._use(KeyDocument.model_validate_json(data))
        except ValueError:
            _log.warning("the keys of last time cannot be read either")
        else:
            _log.warning("using the cluster's keys of last time")

    async def keep_fresh(self) -> None:
        """Follow the cluster's keys until cancelled, so that a withdrawn one is dropped."""
        while True:
            await asyncio.sleep(REFRESH_AFTER if self.loaded else RETRY_AFTER)
            await self.refresh()

    async def find(self, kid: str) -> PyJWK | None:
        """The key of this id; None if the cluster has none, KeysUnavailable if that cannot be found out now."""
        if kid in self._keys:
            return self._keys[kid]
        async with self._lock:
            if kid in self._keys:  # somebody else's refresh brought it
                return self._keys[kid]
            if self._clock() - self._tried_at < AT_MOST_EVERY:
                raise KeysUnavailable("the token's key is not known yet")
            if not await self.refresh():
                raise KeysUnavailable("the cluster's keys cannot be read")
            return self._keys.get(kid)

    async def refresh(self) -> bool:
        """Fetch the keys; those that we have stay when that fails."""
        self._tried_at = self._clock()
        try:
            document = await self._fetch()
            self._use(document)
        except (httpx.HTTPError, OSError, ValueError, KeyError) as error:
            _log.warning("cannot read the cluster's keys", extra={"error": f"{type(error).__name__}: {error}"})
            return False
        try:
            await self._saved.put(SAVED, document.model_dump_json().encode())
        except StoreUnavailable as error:
            _log.warning("cannot save the cluster's keys", extra={"error": str(error)})
        return True

    def _use(self, document: KeyDocument) -> None:
        keys: dict[str, PyJWK] = {}
        for entry in document.jwks.get("keys", []):
            try:
                key = PyJWK(entry)
            except (PyJWKError, InvalidKeyError):
                continue  # a kind of key that we do not use
            if key.key_id and key.algorithm_name in ALGORITHMS:
                keys[key.key_id] = key
        if not keys:
            raise ValueError(f"the key set holds no {' or '.join(ALGORITHMS)} key")
        self._keys, self.issuer = keys, document.issuer
