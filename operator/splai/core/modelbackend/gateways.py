"""What the gateways said of their requests, and of which of them nothing is known at the moment.

A missing answer means unknown, never zero. Of a gateway that does not answer the last answer counts on; one that was
ready and never answered, or does not now, makes all that is known a lower bound.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from splai.api.gateway_load import GatewayLoad

FORGOTTEN_AFTER = 60.0
"""Seconds for which the last answer of a gateway that is gone counts: it may still end what it had begun."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A pod of the gateway, as its EndpointSlice lists it."""

    address: str
    """``host:port`` of its metrics."""
    name: str
    is_ready: bool
    """Requests are sent there."""


@dataclass(slots=True)
class _Known:
    gateway: Gateway
    answered: float | None = None
    is_silent: bool = True
    """It gave no answer when it was asked last, or was not asked."""
    requests: Counter[str] = field(default_factory=Counter)
    """By the key of the backend."""


class GatewayView:
    """All gateways together; moments are those of any one clock, in seconds."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._is_listed = False

    def listed(self, gateways: Collection[Gateway], now: float) -> None:
        """These are all that there are."""
        self._is_listed = True
        found = {gateway.address: gateway for gateway in gateways}
        for address, gateway in found.items():
            known = self._known.setdefault(address, _Known(gateway))
            if known.gateway.name != gateway.name:  # another pod has the address
                self._known[address] = _Known(gateway)
            known.gateway = gateway
        for address in self._known.keys() - found.keys():
            known = self._known[address]
            known.gateway = replace(known.gateway, is_ready=False)
            if known.answered is None or now - known.answered >= FORGOTTEN_AFTER:
                del self._known[address]

    def heard(self, answers: dict[str, GatewayLoad], now: float) -> None:
        """All that were asked have answered, by address, or did not."""
        for address, known in self._known.items():
            load = answers.get(address)
            known.is_silent = load is None
            if load is not None:
                known.answered, known.requests = now, Counter()
                for model in load.models:
                    known.requests[f"{model.namespace}/{model.backend}"] += model.in_flight + model.held
            elif not known.gateway.is_ready and known.answered is not None and now - known.answered >= FORGOTTEN_AFTER:
                known.answered, known.requests = None, Counter()

    @property
    def gateways(self) -> list[Gateway]:
        """Whom to ask."""
        return [known.gateway for known in self._known.values()]

    def requests(self) -> Counter[str]:
        """In flight and held, by the key of the backend: at least so many."""
        total: Counter[str] = Counter()
        for known in self._known.values():
            total.update(known.requests)
        return total

    @property
    def is_listed(self) -> bool:
        """Whether it was ever known which gateways there are."""
        return self._is_listed

    def silent(self) -> tuple[str, ...]:
        """Names of those whose requests are not known now."""
        return tuple(sorted(it.gateway.name for it in self._known.values() if it.is_silent and _may_have_requests(it)))


def _may_have_requests(known: _Known) -> bool:
    """One that starts and was never ready has none yet."""
    return known.gateway.is_ready or known.answered is not None
