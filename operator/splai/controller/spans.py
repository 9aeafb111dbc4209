"""What a trace shows of the operator: a trace for each reconcile, and what it cost the apiserver."""

from collections.abc import Awaitable
from contextvars import ContextVar
from dataclasses import dataclass

from splai.controller.metrics import READS
from splai.controller.queue import Key
from splai.kube.client import RequestObserver
from splai.kube.resource import Resource
from splai.tracing.span import Tracing


@dataclass
class _Requests:
    """To the apiserver, by one reconcile."""

    reads: int = 0
    writes: int = 0


_requests: ContextVar[_Requests | None] = ContextVar("requests", default=None)


class ReconcileSpans:
    """Makes them; ``counting`` has to stand in the client's way, so that requests are told from one another."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def counting(self, observe: RequestObserver) -> RequestObserver:
        """An observer that also counts for the reconcile in whose task a request is sent."""

        def requested(verb: str, resource: Resource, code: int) -> None:
            observe(verb, resource, code)
            if (requests := _requests.get()) is not None:
                if verb in READS:
                    requests.reads += 1
                else:
                    requests.writes += 1

        return requested

    async def follow(self, key: Key, reconcile: Awaitable[str]) -> str:
        """The result of a reconcile that has a span of its own."""
        span = self._tracing.start(
            f"reconcile {key.kind}",
            "internal",
            attributes={"k8s.namespace.name": key.namespace, "splai.kind": key.kind, "splai.name": key.name},
        )
        requests = _Requests()
        token = _requests.set(requests)
        outcome, error = "failed", None
        try:
            outcome = await reconcile
        except BaseException as failure:
            error = type(failure).__name__  # its words may hold contents
            raise
        finally:
            _requests.reset(token)
            counts = {"splai.api.reads": requests.reads, "splai.api.writes": requests.writes}
            span.set({"splai.outcome": outcome, **counts})
            span.end(error)
        return outcome
