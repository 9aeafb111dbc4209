"""The tour starts here: everything kopf does for us, and every one of its decorators.

kopf logs in, lists and watches our two kinds, survives broken connections and serves the liveness probe. Its events go
into the caches, as those of `child_watches.py` do, which put the keys of affected resources into the work queue; from
there on it is `reconcile.py`. Handlers per change, timers and daemons of kopf are not used, for reasons that were
measured: two patches a change, start-up that grows with the square of the objects, and a failed status patch that is
never tried again.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import kopf

from splai.controller.caches import OWN_KINDS, Caches
from splai.controller.kopf_logs import plain_records_only
from splai.kube.client import Object
from splai.kube.connection import load_configuration
from splai.kube.resource import Resource

TOKEN_LIFETIME = timedelta(minutes=5)
EXIT_SECONDS = 25.0


def registry(caches: Caches, probes: dict[str, Callable[[], Any]]) -> kopf.OperatorRegistry:
    """kopf's handlers, bound to these caches; ``probes`` are shown at /healthz, which fails when one of them raises."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(registry=handlers)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.peering.standalone = True  # a stray KopfPeering would pause us; our Lease decides who acts
        settings.scanning.disabled = True  # or it would need the right to watch CRDs and namespaces
        settings.posting.enabled = False  # Events are ours, with deduplication
        settings.watching.chunk_size = 500
        settings.queueing.idle_timeout = 0.5  # of a task an object: at start all objects would have one together
        settings.persistence.diffbase_storage = NoDifferences()
        settings.networking.request_timeout = 30
        settings.networking.connect_timeout = 10
        settings.networking.error_backoffs = (1, 1, 2, 3, 5)
        settings.process.ultimate_exiting_timeout = EXIT_SECONDS

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        """The same credentials as our own client's; a token is read again long before it expires."""
        configuration = await load_configuration()
        authorization = (await configuration.auth_settings()).get("BearerToken", {}).get("value") or ""
        scheme, _separator, token = authorization.partition(" ")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            trust_env=True,
            expiration=datetime.now(UTC) + TOKEN_LIFETIME if token else None,
        )

    def watch(resource: Resource) -> None:
        @kopf.on.event(resource.group, resource.version, resource.plural, registry=handlers)
        async def observe(event: kopf.RawEvent, **_: Any) -> None:
            # The type is None for what a list shows: the same to us as a change.
            body = cast("Object", event["object"])
            if event["type"] == "DELETED":
                caches.deleted(resource, body)
            else:
                caches.changed(resource, body)

    for resource in OWN_KINDS:
        watch(resource)

    for name, probe in probes.items():

        @kopf.on.probe(id=name, registry=handlers, errors=kopf.ErrorsMode.PERMANENT)
        async def show(probe: Callable[[], Any] = probe, **_: Any) -> Any:
            return probe()

    return handlers


class NoDifferences(kopf.DiffBaseStorage):
    """kopf copies every object of every event twice to find differences that no handler of ours asks for."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is ever written into annotations."""


async def serve(
    handlers: kopf.OperatorRegistry,
    *,
    namespaces: tuple[str, ...],
    health_port: int,
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Watch until ``stop`` is set, a signal comes or a watch fails for good; ``ready`` tells that kopf has started."""
    plain_records_only()
    await kopf.operator(
        registry=handlers,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        liveness_endpoint=f"http://0.0.0.0:{health_port}/healthz",
        ready_flag=ready,
        stop_flag=stop,
    )
