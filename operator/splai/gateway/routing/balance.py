"""Which pod of a pool gets the next request: the less busy one of two that are drawn by chance.

Drawing two keeps several gateways, which do not know of each other's requests, from all choosing the same idle pod.
"""

import random
from collections.abc import Sequence

from splai.gateway.routing.routes import Target


class Balancer:
    """Counts the requests in flight to each address; the counts outlive the route tables."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._in_flight: dict[str, int] = {}

    def pick(self, targets: Sequence[Target]) -> Target:
        """One of the targets, of which there is at least one."""
        if len(targets) == 1:
            return targets[0]
        drawn = self._chance.randrange(len(targets))
        other = (drawn + self._chance.randrange(1, len(targets))) % len(targets)
        first, second = targets[drawn], targets[other]
        return second if self.in_flight(second) < self.in_flight(first) else first

    def in_flight(self, target: Target) -> int:
        return self._in_flight.get(target.address, 0)

    def enter(self, target: Target) -> None:
        """A request goes to the target."""
        self._in_flight[target.address] = self.in_flight(target) + 1

    def leave(self, target: Target) -> None:
        """A request is over; an idle address leaves no trace, so pods that are gone cost no memory."""
        left = self._in_flight[target.address] - 1
        if left:
            self._in_flight[target.address] = left
        else:
            del self._in_flight[target.address]
