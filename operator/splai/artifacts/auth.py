"""Who calls, and what they may touch.

A caller shows a projected ServiceAccount token, which is verified with the cluster's public keys alone. Its audience
says in which role:

=========================  ==========================================  =======================================
audience                   who                                         may
=========================  ==========================================  =======================================
``splai-artifacts/<uid>``  a pod of that job                           read and write ``/<its namespace>/<uid>/…``
``splai-artifacts``        a trusted ServiceAccount (the operator)     everything
``splai-artifacts``        a reading ServiceAccount (the gateway)      read everything
=========================  ==========================================  =======================================

The namespace comes from the token's claims, so whoever may create pods in a namespace may act for its jobs, and for
no others.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any
from typing import Final as Constant

import jwt

from splai.api.pod_contract import ARTIFACTS_AUDIENCE
from splai.artifacts.keys import ALGORITHMS, ClusterKeys

LEEWAY_SECONDS: Constant = 60
CACHED_TOKENS: Constant = 10_000


class Access(Enum):
    """What a request does."""

    READ = "read"
    WRITE = "write"
    REMOVE = "remove the folder of"


class Unauthenticated(Exception):
    """There is no token, or not one that we accept."""


class Forbidden(Exception):
    """The caller is known and may not do this."""


@dataclass(frozen=True, slots=True)
class JobPod:
    """A pod of one job, or of several of its namespace."""

    namespace: str
    uids: frozenset[str]

    def may(self, access: Access, namespace: str, uid: str) -> bool:
        return access is not Access.REMOVE and namespace == self.namespace and uid in self.uids


@dataclass(frozen=True, slots=True)
class Service:
    """A ServiceAccount of the installation."""

    account: str
    writes: bool

    def may(self, access: Access, namespace: str, uid: str) -> bool:
        return self.writes or access is Access.READ


Identity = JobPod | Service


class Authenticator:
    """Turns an Authorization header into an identity; a token that was verified is remembered until it expires."""

    def __init__(
        self,
        keys: ClusterKeys,
        *,
        trusted: frozenset[str],
        readers: frozenset[str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._trusted = trusted
        self._readers = readers
        self._now = now
        self._verified: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    async def authenticate(self, header: str | None) -> Identity:
        """Who sends this ``Authorization``; raises Unauthenticated, Forbidden for a stranger, and KeysUnavailable."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("send a ServiceAccount token: Authorization: Bearer …")
        digest = hashlib.sha256(token.encode()).digest()
        if (known := self._verified.get(digest)) and self._now() < known[1]:
            self._verified.move_to_end(digest)
            return known[0]
        claims = await self._verify(token)
        identity = self._identify(claims)
        self._verified[digest] = (identity, float(claims["exp"]))
        if len(self._verified) > CACHED_TOKENS:
            self._verified.popitem(last=False)
        return identity

    async def _verify(self, token: str) -> dict[str, Any]:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if not isinstance(kid, str):
                raise Unauthenticated("the token names no key")
            key = await self._keys.find(kid)
            if key is None:
                raise Unauthenticated("the token is not signed by this cluster")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._keys.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "sub", "aud"], "verify_aud": False},  # _identify reads it
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not valid: {error}") from None
        return claims

    def _identify(self, claims: dict[str, Any]) -> Identity:
        audiences = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
        namespace, account = _service_account(claims)
        if ARTIFACTS_AUDIENCE in audiences:
            name = f"{namespace}/{account}"
            if name in self._trusted or name in self._readers:
                return Service(account=name, writes=name in self._trusted)
            raise Forbidden(f"ServiceAccount {name} is not one of SPLAI's own")
        prefix = f"{ARTIFACTS_AUDIENCE}/"
        uids = frozenset(
            audience.removeprefix(prefix)
            for audience in audiences
            if isinstance(audience, str) and audience.startswith(prefix)
        )
        if not uids:
            raise Unauthenticated(f"the token is for another audience than {ARTIFACTS_AUDIENCE}")
        return JobPod(namespace=namespace, uids=uids)


def _service_account(claims: dict[str, Any]) -> tuple[str, str]:
    """Namespace and name, of which the subject and Kubernetes' own claim must agree."""
    system, _, rest = str(claims["sub"]).partition(":serviceaccount:")
    namespace, _, name = rest.partition(":")
    bound = claims.get("kubernetes.io")
    if system != "system" or not name or not isinstance(bound, dict) or bound.get("namespace") != namespace:
        raise Unauthenticated("the token is not one of a ServiceAccount")
    return namespace, name


def require_trusted(identity: Identity) -> None:
    """Raise Forbidden unless the identity may do everything."""
    if not (isinstance(identity, Service) and identity.writes):
        raise Forbidden("this token may not list the folders of all jobs")


def require(identity: Identity, access: Access, namespace: str, uid: str) -> None:
    """Raise Forbidden unless the identity may do this."""
    if not identity.may(access, namespace, uid):
        raise Forbidden(f"this token may not {access.value} {namespace}/{uid}")
